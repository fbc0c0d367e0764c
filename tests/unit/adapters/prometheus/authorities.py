"""
Certificates for tests over real TLS on loopback, made by openssl.
"""

import ssl
import subprocess
from pathlib import Path

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """Vouches for servers on 127.0.0.1 and for clients."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make its key and its certificate."""
        self._folder, self.name = folder, name
        self.path = folder / f"{name}.pem"
        self._key = folder / f"{name}-key.pem"
        constraint = ("-addext", "keyUsage=critical,keyCertSign", "-days", "2")
        out = ("-keyout", str(self._key), "-out", str(self.path))
        _openssl("req", "-x509", *EC, "-subj", f"/CN={name}", *constraint, *out)

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.path.read_text()

    def issue(self, name: str, address: str = "127.0.0.1") -> tuple[str, str]:
        """A certificate and its key."""
        key, asked, out, extensions = (
            self._folder / f"{self.name}-{name}{end}" for end in (".key", ".csr", ".crt", ".ext")
        )
        extensions.write_text(f"subjectAltName=IP:{address}\n")
        _openssl("req", "-new", *EC, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(asked))
        by = ("-CA", str(self.path), "-CAkey", str(self._key), "-CAcreateserial", "-days", "2")
        _openssl("x509", "-req", "-in", str(asked), *by, "-extfile", str(extensions), "-out", str(out))
        return out.read_text(), key.read_text()

    def server(self, *, clients: "Authority | None" = None, address: str = "127.0.0.1") -> ssl.SSLContext:
        """A server's side of TLS; with `clients`, it wants a certificate of that authority."""
        certificate, key = self.issue("server", address)
        both = self._folder / f"{self.name}-server-both.pem"
        both.write_text(certificate + key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(both)
        if clients is not None:
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(cadata=clients.pem)
        return tls
