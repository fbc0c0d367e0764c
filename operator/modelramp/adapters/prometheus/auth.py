"""
Credentials from Secrets: kept a minute at most, shown nowhere.
"""

import base64
from collections.abc import Callable
from typing import Final, Protocol

from modelramp.api.spec import PrometheusAuth, SecretKey
from modelramp.ports import DeniedError, GoneError, RefusedError

CACHED_SECONDS: Final = 60.0
_AUTH_FIELD: Final = "spec.analysis.prometheus.auth"


class SecretReader(Protocol):
    """
    Reads one key of a Secret.
    """

    async def __call__(self, namespace: str, name: str, key: str) -> str:
        """
        The decoded value.

        Raises:
            GoneError: there is no such Secret, or it has no such key.
            DeniedError: the operator may not read it.
            RefusedError: the value is no text.
            UnreachableError: the API server does not answer.
        """


class Credentials:
    """
    The value of an Authorization header; printing it shows nothing.
    """

    __slots__ = ("_header", "_secrets")

    def __init__(self, header: str, *secrets: str) -> None:
        """
        Keep the header, and what of it must never be printed.
        """
        self._header = header
        self._secrets = tuple(sorted({part for part in (header, *secrets) if part}, key=len, reverse=True))

    @classmethod
    def bearer(cls, token: str) -> "Credentials":
        """
        RFC 6750, section 2.1.
        """
        return cls(f"Bearer {token}", token)

    @classmethod
    def basic(cls, username: str, password: str) -> "Credentials":
        """
        RFC 7617, in UTF-8.
        """
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        return cls(f"Basic {pair}", pair, password)

    def headers(self) -> dict[str, str]:
        """
        For one request.
        """
        return {"Authorization": self._header}

    def redact(self, text: str) -> str:
        """
        The text without any of the secret parts: a server may repeat what it was sent.
        """
        for part in self._secrets:
            text = text.replace(part, "***")
        return text


class Authenticator:
    """
    Turns an object's `auth` into credentials.
    """

    def __init__(self, read_secret: SecretReader, monotonic: Callable[[], float]) -> None:
        """
        Remember whom to ask; `monotonic` gives seconds.
        """
        self._read_secret = read_secret
        self._monotonic = monotonic
        self._cached: dict[tuple[str, str, str], tuple[float, str]] = {}

    async def credentials(self, namespace: str, auth: PrometheusAuth) -> Credentials:
        """
        The credentials `auth` names, from Secrets in the namespace.

        Raises:
            DeniedError: the Secret is missing, may not be read, or holds what no header can carry.
            UnreachableError: the API server does not answer.
        """
        if auth.bearer is not None:
            field = f"{_AUTH_FIELD}.bearer.secretRef"
            token = await self._secret(namespace, auth.bearer.secret_ref, field)
            if not token.isascii():
                raise DeniedError(f"{field}: the token is not ASCII, so no header can carry it")
            return Credentials.bearer(token)
        if auth.basic is None:
            raise AssertionError("the parser lets no such object through")
        if ":" in auth.basic.username or not auth.basic.username.isprintable():
            raise DeniedError(f"{_AUTH_FIELD}.basic.username must not hold a colon or a control character")
        field = f"{_AUTH_FIELD}.basic.passwordSecretRef"
        return Credentials.basic(
            auth.basic.username, await self._secret(namespace, auth.basic.password_secret_ref, field)
        )

    def forget(self, namespace: str) -> None:
        """
        Read the namespace's Secrets anew next time: they were not accepted, and may have been replaced.
        """
        self._cached = {key: kept for key, kept in self._cached.items() if key[0] != namespace}

    async def _secret(self, namespace: str, ref: SecretKey, field: str) -> str:
        now = self._monotonic()
        self._cached = {key: kept for key, kept in self._cached.items() if now - kept[0] < CACHED_SECONDS}
        where = (namespace, ref.name, ref.key)
        if where in self._cached:
            return self._cached[where][1]
        try:
            # Files written with an editor end with a line break, which is no part of the secret.
            value = (await self._read_secret(*where)).rstrip("\r\n")
        except GoneError:
            raise DeniedError(f"{field}: there is no Secret {namespace}/{ref.name} with the key {ref.key}") from None
        except RefusedError:
            value = ""  # said below like everything else no header can carry; what was raised may hold the value
        if not value.isprintable() or not value:
            raise DeniedError(f"{field}: key {ref.key} of Secret {namespace}/{ref.name} is empty or not printable")
        self._cached[where] = (now, value)
        return value
