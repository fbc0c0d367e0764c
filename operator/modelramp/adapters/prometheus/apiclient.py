"""
The port MetricSource on the library prometheus-api-client, for the command line: one question at a time, in a thread.

The library gives back the rows of an answer only. It drops `warnings` and the kind of the answer, follows redirects,
waits for ever, retries without saying so, reads answers of any size, and writes a posted question into the URL. All its
requests go through the one session it is given, so that session enforces our rules and keeps the whole answer, which is
then read as strictly as the operator's own adapter reads it.

What stays weaker than in that adapter: a server that sends the *headers* of its answer byte by byte keeps the thread
for longer than the limit (the caller is answered in time, but a loop that is closed waits for its threads); there is no
pause after failures and no limit on questions at once, as a command asks one after the other; and each question opens a
connection of its own.
"""

import asyncio
import io
import ssl
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import parse_qsl

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from modelramp.adapters.prometheus.answer import QuestionError, Reply, TooLargeError, read_answer
from modelramp.adapters.prometheus.auth import Access, Authenticator, SecretReader
from modelramp.adapters.prometheus.policy import Address, AddressPolicy
from modelramp.adapters.prometheus.question import Limits, form
from modelramp.analysis import Series
from modelramp.api.spec import Prometheus
from modelramp.ports import DeniedError, SamplesQuestion, UnreachableError

_READ_BYTES: Final = 64 * 1024
# What the library raises over an answer it cannot use. Its texts hold the answer as it came, so none of them is shown.
_UNUSABLE: Final = (PrometheusApiClientException, ValueError, TypeError, LookupError, RecursionError)


class _Session(requests.Session):
    """
    The session of one question.
    """

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        """
        Connect to nothing yet.
        """
        super().__init__()
        self.status: int | None = None
        """Of the answer; None: there was none."""
        self.body = bytearray()
        self._limits = limits
        self._monotonic = monotonic
        self.trust_env = False  # no proxy, no .netrc: the address that was checked is the one that is asked
        self.verify = _trusted()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests' own signature
        """
        None is ever followed, nor is its body read.
        """
        return

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        """
        Send the question as a form, and read the answer within the limits.
        """
        began = self._monotonic()
        request.url, _, question = (request.url or "").partition("?")
        request.prepare_body(parse_qsl(question, keep_blank_values=True), None)
        waits = (self._limits.connect_seconds, self._limits.total_seconds)
        answer = super().send(request, **{**options, "stream": True, "timeout": waits})
        self._read(answer, began)
        self.status = answer.status_code
        answer.raw = io.BytesIO(self.body)  # the library reads it again
        return answer

    def _read(self, answer: requests.Response, began: float) -> None:
        with closing(answer.raw) as raw:
            # as it comes, whatever encoding the server claims: a small answer could unpack to a huge one
            while part := raw.read1(_READ_BYTES, decode_content=False):
                self.body += part
                if len(self.body) > self._limits.answer_bytes:
                    raise TooLargeError(f"the answer is larger than {self._limits.answer_bytes} bytes")
                if self._monotonic() - began > self._limits.total_seconds:
                    raise TimeoutError


def _trusted() -> str | bool:
    """
    The authorities the operator's adapter trusts too: the system's, or those SSL_CERT_FILE names; True: the library's.
    """
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


class ApiClientSource:
    """
    The port MetricSource.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        read_secret: SecretReader,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
    ) -> None:
        """
        Connect to nothing yet.

        Args:
            policy: Which addresses may be asked.
            read_secret: Reads the secrets that `Prometheus.auth` names.
            monotonic: Seconds.
            limits: None: the defaults.

        """
        self._policy = policy
        self._authenticator = Authenticator(read_secret, monotonic)
        self._monotonic = monotonic
        self._limits = limits or Limits()

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        """
        Every series the selector names, with its samples in time order; as the port says.
        """
        address = self._policy.resolve(source.address)  # before any secret is read
        if source.authorities is not None or (source.auth is not None and source.auth.client_certificate is not None):
            # requests would trust the system's authorities beside the given ones
            raise DeniedError("the command line trusts SSL_CERT_FILE, and sends no client certificate")
        access = await self._authenticator.access(namespace, source, address.origin.scheme)
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                return await asyncio.to_thread(self._ask, address, access, question)
        except DeniedError:
            self._authenticator.forget(namespace)
            raise
        except TimeoutError:
            raise UnreachableError(self._describe(address, TimeoutError())) from None

    def _ask(self, address: Address, access: Access, question: SamplesQuestion) -> tuple[Series, ...]:
        try:
            return read_answer(self._reply(address, access, question), question.since, question.until)
        except QuestionError:
            raise
        except UnreachableError as error:
            raise UnreachableError(f"{address.url}: {error}") from None
        except (HTTPError, OSError) as error:
            # the client's own errors may hold the request's headers
            raise UnreachableError(self._describe(address, error)) from None

    def _reply(self, address: Address, access: Access, question: SamplesQuestion) -> Reply:
        fields = form(question, self._limits)
        headers = {"Accept-Encoding": "identity", **access.headers()}
        with _Session(self._limits, self._monotonic) as session:
            once = Retry(0, read=False)
            client = PrometheusConnect(address.url, headers=headers, retry=once, session=session, method="POST")
            with suppress(*_UNUSABLE):
                client.custom_query(fields.pop("query"), params=fields)
        if session.status is None:
            raise UnreachableError("the question could not be sent")
        return Reply(session.status, bytes(session.body), access.redact)

    def _describe(self, address: Address, error: Exception) -> str:
        if isinstance(error, requests.ConnectTimeout):
            return f"{address.url} does not accept the connection within {self._limits.connect_seconds:g} s"
        if isinstance(error, requests.Timeout | TimeoutError):
            return f"{address.url} does not answer within {self._limits.total_seconds:g} s"
        if isinstance(error, requests.exceptions.SSLError):
            return f"{address.url}: its certificate is not trusted or TLS failed"
        return f"{address.url} cannot be reached ({type(error).__name__})"
