"""
Certificates from text to a client's side of TLS. The server is always verified; a private key never gets on a disk.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

_SIDES: Final = 32  # one takes some 20 ms to make and has connections of its own


@dataclass(frozen=True, slots=True)
class Certificates:
    """
    PEM, as it stands in Secrets; printing it shows no key.

    `authorities` None: the system's.
    """

    authorities: str | None = None
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)

    def client_side(self) -> ssl.SSLContext:
        """
        The client's side of TLS; the same object for the same certificates, so that connections are kept.

        Raises:
            ValueError: they cannot be used; the message names which, and shows nothing of them.
        """
        return _client_side(self)


@lru_cache(maxsize=_SIDES)
def _client_side(certificates: Certificates) -> ssl.SSLContext:
    if certificates.authorities is not None and not certificates.authorities.strip():
        raise ValueError("authorities")  # Python takes nothing for the system's authorities
    try:
        made = ssl.create_default_context(cadata=certificates.authorities)
    except (ssl.SSLError, ValueError):
        raise ValueError("authorities") from None
    if certificates.certificate is not None and certificates.key is not None:
        try:
            with _readable(f"{certificates.certificate}\n{certificates.key}\n") as path:
                # no password: a key that needs one must not make the operator ask its terminal
                made.load_cert_chain(path, password="")
        except (ssl.SSLError, OSError, ValueError):
            raise ValueError("clientCertificate") from None
    return made


@contextmanager
def _readable(text: str) -> Iterator[str]:
    """
    The path of a file that holds the text for as long as the block lasts: OpenSSL's interface takes a path only.
    """
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("certificates", os.MFD_CLOEXEC)
        try:
            with os.fdopen(number, "w", encoding="utf-8", closefd=False) as file:
                file.write(text)
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".pem") as file:  # where there is no memory file
        file.write(text)
        file.flush()
        yield file.name
