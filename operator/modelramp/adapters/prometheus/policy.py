"""
Which addresses the operator may ask: users write them, so each is hostile until the installation says otherwise.

An address is read into parts by one strict grammar, and only parts that the grammar knows ever reach the HTTP client:
what was checked is what is asked. No name is resolved here; whoever allows a name trusts its DNS. No I/O.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from modelramp.ports import DeniedError

ADDRESS_FIELD: Final = "spec.analysis.prometheus.address"
DEFAULT_VALUE: Final = "prometheus.address"
ALLOWED_VALUE: Final = "prometheus.allowedAddresses"
MAX_ADDRESS_LENGTH: Final = 512
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65535
_MAX_HOST_LENGTH: Final = 253
# One grammar for all: no user information, query, fragment, percent-encoding, backslash, space or non-ASCII character,
# because parsers disagree about every one of these.
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?(?P<path>(/[A-Za-z0-9._~-]+)*)/?",
    re.IGNORECASE | re.ASCII,  # without ASCII, the Kelvin sign is a k
)
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label like this makes resolvers read an IPv4 address


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Who is asked: scheme, host and port, in the one spelling that compares equal for equal origins.

    `host` is in lower case, without a trailing dot; an IPv6 address has its brackets and its shortest form.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """
        With the port, also where it is the scheme's own.
        """
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """
    The base URL of a Prometheus, checked.

    `path` is empty or begins with a slash and does not end with one.
    """

    origin: Origin
    path: str
    rooted: bool = False
    """The host was written with a trailing dot: a resolver must not try search domains."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a base URL.

        Raises:
            ValueError: it is not one; the message does not repeat the text, which may hold a password.
        """
        match = _ADDRESS.fullmatch(text) if len(text) <= MAX_ADDRESS_LENGTH else None
        if match is None:
            raise ValueError("not a base URL: want http(s)://host[:port][/path] without user, query, fragment or %")
        scheme, path = match["scheme"].lower(), match["path"]
        if any(segment in {".", ".."} for segment in path.split("/")):
            raise ValueError("the path must not hold . or ..")
        port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
        if not 0 < port <= _MAX_PORT:
            raise ValueError("the port must be from 1 to 65535")
        return cls(Origin(scheme, _host(match["host"]), port), path, match["host"].endswith("."))

    @property
    def url(self) -> str:
        """
        As the HTTP client is given it, without a slash at the end.
        """
        origin = self.origin
        return f"{origin.scheme}://{origin.host}{'.' if self.rooted else ''}:{origin.port}{self.path}"

    def covers(self, other: Self) -> bool:
        """
        The other has the same origin, and this path is the other's or leads to it by whole segments.
        """
        return self.origin == other.origin and f"{other.path}/".startswith(f"{self.path}/")


def _host(written: str) -> str:
    host = written.lower()
    if host.startswith("["):
        return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
    host = host.removesuffix(".")
    labels = host.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(host))
    if len(host) > _MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the host is no DNS name")
    return host


class AddressPolicy:
    """
    The installation's own address, and the others it allows.
    """

    def __init__(self, default: str | None, allowed: Iterable[str] = ()) -> None:
        """
        Read the installation's settings.

        Args:
            default: Asked where an object names no address; None: every object must name one.
            allowed: Base URLs that objects may name, and everything beneath their paths.

        Raises:
            ValueError: one of them is no base URL.

        """
        self._default = None if default is None else _setting(DEFAULT_VALUE, default)
        self._allowed = tuple(_setting(ALLOWED_VALUE, one) for one in allowed)

    def resolve(self, written: str | None) -> Address:
        """
        The address to ask for an object that names this one; None: it names none.

        The host is spelled as the installation spells it, so a name cannot be made to resolve differently.

        Raises:
            DeniedError: it is not allowed, or there is none.
        """
        if written is None:
            if self._default is None:
                raise DeniedError(
                    f"{ADDRESS_FIELD} is not set, and this installation has no default (Helm value {DEFAULT_VALUE})"
                )
            return self._default
        try:
            wanted = Address.parse(written)
        except ValueError as error:
            raise DeniedError(f"{ADDRESS_FIELD}: {error}") from None
        if self._default is not None and (self._default.origin, self._default.path) == (wanted.origin, wanted.path):
            return self._default
        for one in self._allowed:
            if one.covers(wanted):
                return Address(one.origin, wanted.path, one.rooted)
        raise DeniedError(self._refusal(wanted))

    def _refusal(self, wanted: Address) -> str:
        known = [*([self._default] if self._default else []), *self._allowed]
        return (
            f"{ADDRESS_FIELD}: {wanted.url} is not allowed in this installation; "
            f"allowed: {', '.join(one.url for one in known) or 'none'}; "
            f"to allow it, add it to the Helm value {ALLOWED_VALUE}"
        )


def _setting(name: str, written: str) -> Address:
    try:
        return Address.parse(written)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
