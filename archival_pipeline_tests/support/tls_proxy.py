"""Puts TLS in front of a PostgreSQL server that has none, with certificates made on the spot.

The embedded server is built without OpenSSL. This terminator answers the protocol's SSLRequest itself, so that a
client can be tested against good, wrong and missing certificates.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import socketserver
import ssl
import struct
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# An SSLRequest is eight bytes: its own length, then a number that no protocol version will ever have.
_REQUEST = struct.Struct("!ii")
_SSL_REQUEST = 80877103
_CHUNK = 65536
_LIFETIME = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that exists only in this test run."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str = "Test authority") -> Authority:
        """Make a new authority; two of them never trust each other."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        builder = _builder(subject, subject, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)  # noqa: FBT003 - positional in the library
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return cls(builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)

    def pem(self) -> str:
        """The certificate as the text that clients are given."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def context_for(self, host: str, folder: Path) -> ssl.SSLContext:
        """A server's TLS context with a certificate for one IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        builder = _builder(_name("server"), self.certificate.subject, key).add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        bundle = folder / f"server-{certificate.serial_number}.pem"
        bundle.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(bundle)
        return context


@contextmanager
def tls_terminator(target: tuple[str, int], context: ssl.SSLContext | None) -> Iterator[int]:
    """Listen on a free loopback port and pass sessions on to a server.

    Args:
        target: host and port of the PostgreSQL server.
        context: the certificate to show; None answers that there is no TLS, as a server without it does.

    Yields:
        The port to connect to.
    """
    with _Terminator(("127.0.0.1", 0), _Session) as server:
        server.target = target
        server.context = context
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Terminator(socketserver.ThreadingTCPServer):
    target: tuple[str, int]
    context: ssl.SSLContext | None
    daemon_threads = True
    server_address: tuple[str, int]

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about broken handshakes: a client that refuses the certificate says so itself."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Session(socketserver.BaseRequestHandler):
    server: _Terminator
    request: socket.socket

    def handle(self) -> None:
        client = self.request
        first = client.recv(_REQUEST.size, socket.MSG_WAITALL)
        if _REQUEST.unpack(first)[1] == _SSL_REQUEST:
            first = b""
            client.sendall(b"N" if self.server.context is None else b"S")
            if self.server.context is not None:
                client = self.server.context.wrap_socket(client, server_side=True)
        with client, socket.create_connection(self.server.target) as upstream:
            upstream.sendall(first)
            answers = threading.Thread(target=_pipe, args=(upstream, client), daemon=True)
            answers.start()
            _pipe(client, upstream)
            answers.join()


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    """Copy until either side closes, then tell the other one."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # Either side may hang up in the middle of a handshake; its owner closes both.
        return


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFETIME)
        .not_valid_after(now + _LIFETIME)
    )
