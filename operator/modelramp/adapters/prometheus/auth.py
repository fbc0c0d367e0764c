"""
Credentials and certificates from Secrets and ConfigMaps: kept a minute at most, shown nowhere.
"""

import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from modelramp.adapters.prometheus.tls import Certificates
from modelramp.api.spec import Prometheus, PrometheusAuth, SecretKey
from modelramp.ports import DeniedError, GoneError, RefusedError

CACHED_SECONDS: Final = 60.0
TENANT_HEADER: Final = "X-Scope-OrgID"
_FIELD: Final = "spec.analysis.prometheus"
_AUTH_FIELD: Final = f"{_FIELD}.auth"
_SECRET: Final = "Secret"  # noqa: S105 - the name of a kind
_CONFIG_MAP: Final = "ConfigMap"


class SecretReader(Protocol):
    """
    Reads one key of a Secret, or of a ConfigMap.
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


@dataclass(frozen=True, slots=True)
class Access:
    """
    How one object's questions are sent; printing it shows nothing.
    """

    credentials: Credentials | None = None
    tenant: str | None = None
    tls: ssl.SSLContext | None = None
    """None: the system's authorities, and no certificate of our own."""

    def headers(self) -> dict[str, str]:
        """
        For one request.
        """
        own = {} if self.tenant is None else {TENANT_HEADER: self.tenant}
        return own if self.credentials is None else {**own, **self.credentials.headers()}

    def redact(self, text: str) -> str:
        """
        The text without any secret.
        """
        return text if self.credentials is None else self.credentials.redact(text)


async def _no_config_maps(namespace: str, name: str, key: str) -> str:
    raise DeniedError(f"ConfigMaps are not read here: key {key} of {namespace}/{name}")


class Authenticator:
    """
    Turns what an object says of its source into what is sent.
    """

    def __init__(
        self,
        read_secret: SecretReader,
        monotonic: Callable[[], float],
        read_config_map: SecretReader = _no_config_maps,
    ) -> None:
        """
        Remember whom to ask; `monotonic` gives seconds.
        """
        self._readers = {_SECRET: read_secret, _CONFIG_MAP: read_config_map}
        self._monotonic = monotonic
        self._cached: dict[tuple[str, str, str, str], tuple[float, str]] = {}

    async def access(self, namespace: str, source: Prometheus, scheme: str) -> Access:
        """
        Everything `source` names, from the namespace; `scheme` is that of the address that will be asked.

        Raises:
            DeniedError: something is missing, may not be read, or cannot be used.
            UnreachableError: the API server does not answer.
        """
        auth = source.auth
        given = auth is not None and (auth.bearer is not None or auth.basic is not None)
        credentials = await self.credentials(namespace, auth) if auth is not None and given else None
        return Access(credentials, source.tenant, await self._tls(namespace, source, scheme))

    async def _tls(self, namespace: str, source: Prometheus, scheme: str) -> ssl.SSLContext | None:
        own = source.auth.client_certificate if source.auth is not None else None
        trusted = source.authorities
        if own is None and trusted is None:
            return None
        if scheme != "https":
            field = "authorities" if own is None else "auth.clientCertificate"
            raise DeniedError(f"{_FIELD}.{field} needs an address that begins with https")
        authorities = certificate = key = None
        if trusted is not None:
            kind = _SECRET if trusted.secret_ref is not None else _CONFIG_MAP
            ref = trusted.secret_ref or trusted.config_map_key_ref
            if ref is None:
                raise AssertionError("the parser lets no such object through")
            authorities = await self._value(kind, (namespace, ref.name, ref.key), f"{_FIELD}.authorities")
        if own is not None:
            one, other = own.certificate_secret_ref, own.key_secret_ref
            field = f"{_AUTH_FIELD}.clientCertificate"
            certificate = await self._value(_SECRET, (namespace, one.name, one.key), f"{field}.certificateSecretRef")
            key = await self._value(_SECRET, (namespace, other.name, other.key), f"{field}.keySecretRef")
        try:
            return Certificates(authorities, certificate, key).client_side()
        except ValueError as error:
            name = _FIELD if str(error) == "authorities" else _AUTH_FIELD
            raise DeniedError(f"{name}.{error}: it is not PEM, or certificate and key do not belong together") from None

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
        self._cached = {key: kept for key, kept in self._cached.items() if key[1] != namespace}

    async def _secret(self, namespace: str, ref: SecretKey, field: str) -> str:
        value = await self._value(_SECRET, (namespace, ref.name, ref.key), field)
        if not value.isprintable() or not value:
            raise DeniedError(f"{field}: key {ref.key} of Secret {namespace}/{ref.name} is empty or not printable")
        return value

    async def _value(self, kind: str, where: tuple[str, str, str], field: str) -> str:
        now = self._monotonic()
        self._cached = {key: kept for key, kept in self._cached.items() if now - kept[0] < CACHED_SECONDS}
        if (kind, *where) in self._cached:
            return self._cached[kind, *where][1]
        namespace, name, key = where
        try:
            # Files written with an editor end with a line break, which is no part of the secret.
            value = (await self._readers[kind](*where)).rstrip("\r\n")
        except GoneError:
            raise DeniedError(f"{field}: there is no {kind} {namespace}/{name} with the key {key}") from None
        except RefusedError:
            value = (
                ""  # said by the caller like everything else that cannot be used; what was raised may hold the value
            )
        self._cached[kind, *where] = (now, value)
        return value
