"""Real servers for backup files: FTP with TLS by pyftpdlib and by vsftpd, SFTP by paramiko, S3 by moto.

Each is a context that gives the settings of a space on it. Not here: a folder (``scene.py`` has it).
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import ipaddress
import logging
import os
import shutil
import socket
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import paramiko
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.server import ThreadedMotoServer
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.sftp import SFTP_FAILURE, SFTP_OK

from archival_pipeline.settings_imixs import SpaceSettings
from archival_pipeline_tests.support.processes import started, wait_until

with warnings.catch_warnings():
    # pyftpdlib stands on modules of the standard library that are deprecated there, and keeps a copy for later.
    warnings.filterwarnings("ignore", "The async(ore|hat) module is deprecated", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import TLS_DTPHandler, TLS_FTPHandler
    from pyftpdlib.servers import ThreadedFTPServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Who runs a benchmark does not want a line for each command.
logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())
logging.getLogger("pyftpdlib").propagate = False

USER, PASSWORD = "keeper", "kept&safe"
HOST = "127.0.0.1"


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, in one file; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    target = folder / "server.pem"
    target.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return target


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@dataclass
class Faults:
    """What the FTP server does wrong, and how often yet.

    Attributes:
        cut_uploads: break the connection after the first piece of a file.
        refuse: commands that are answered with 450.
        before: called with the number of each command, before it is executed.
        never_replaces: whether a rename to a name that is taken is refused.
    """

    cut_uploads: int = 0
    refuse: dict[str, int] = field(default_factory=dict)
    before: Callable[[int], None] | None = None
    commands: int = 0
    never_replaces: bool = False


@contextmanager
def ftp(folder: Path, faults: Faults | None = None) -> Iterator[SpaceSettings]:
    """Pyftpdlib that takes no clear connection, neither for control nor for data."""
    root = folder / "ftp" / "backup"
    root.mkdir(parents=True)
    pem = certificate(folder)
    wrong = faults or Faults()
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(root.parent), perm="elradfmwMT")
    handler = type("Handler", (_Faulty,), {"faults": wrong, "authorizer": authorizer, "certfile": str(pem)})
    server = ThreadedFTPServer((HOST, 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"timeout": 0.1, "handle_exit": False}, daemon=True)
    thread.start()
    try:
        yield _ftp_settings(server.socket.getsockname()[1], "backup", pem)
    finally:
        server.close_all()
        thread.join(10)


class _Breaking(TLS_DTPHandler):  # type: ignore[misc]
    def handle_read_event(self) -> None:
        super().handle_read_event()
        if self.receive and self.tot_bytes_received and self.cmd_channel.faults.cut_uploads > 0:
            self.cmd_channel.faults.cut_uploads -= 1
            # Both connections break, as when the network does; what has come so far stays in the file.
            self.cmd_channel.close()


class _Faulty(TLS_FTPHandler):  # type: ignore[misc]
    tls_control_required = True
    tls_data_required = True
    use_sendfile = False
    dtp_handler = _Breaking
    faults: Faults

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        self.faults.commands += 1
        if self.faults.before is not None:
            self.faults.before(self.faults.commands)
        if self.faults.refuse.get(cmd, 0) > 0:
            self.faults.refuse[cmd] -= 1
            self.respond("450 Not now.")
            return
        if cmd == "RNTO" and self.faults.never_replaces and self.fs.lexists(arg):
            self.respond("550 There is one.")
            return
        super().pre_process_command(line, cmd, arg)


def _ftp_settings(port: int, path: str, pem: Path) -> SpaceSettings:
    return SpaceSettings(
        BACKUP_FTP_HOST=HOST,
        BACKUP_FTP_PORT=port,
        BACKUP_FTP_PATH=path,
        BACKUP_FTP_USER=USER,
        BACKUP_FTP_PASSWORD=PASSWORD,
        BACKUP_FTP_CA_CERT_PATH=pem,
        BACKUP_STORAGE_TIMEOUT_SECONDS=15,
    )  # type: ignore[call-arg]


VSFTPD = shutil.which("vsftpd") or shutil.which("vsftpd", path="/usr/sbin")


@contextmanager
def vsftpd(folder: Path) -> Iterator[SpaceSettings]:
    """Vsftpd as Debian has it: encrypted data channels are demanded, and so is the session of the control channel.

    Its users are those of the machine; so an anonymous one, who may write, stands for ours.
    """
    assert VSFTPD is not None
    root = folder / "anonymous"
    (root / "backup").mkdir(parents=True)
    for above in [root, *root.parents]:
        if above.stat().st_uid == os.getuid():
            above.chmod(above.stat().st_mode | 0o011)
    user = "ftp" if os.getuid() == 0 else getpass.getuser()
    if os.getuid() == 0:
        shutil.chown(root / "backup", user)
    pem = certificate(folder)
    port = free_port()
    (folder / "empty").mkdir()
    options = {
        "listen": "YES",
        "listen_address": HOST,
        "listen_port": port,
        "background": "NO",
        "seccomp_sandbox": "NO",
        "isolate": "NO",
        "isolate_network": "NO",
        "run_as_launching_user": "NO" if os.getuid() == 0 else "YES",
        "secure_chroot_dir": folder / "empty",
        "anonymous_enable": "YES",
        "local_enable": "NO",
        "write_enable": "YES",
        "anon_root": root,
        "ftp_username": user,
        "anon_upload_enable": "YES",
        "anon_mkdir_write_enable": "YES",
        "anon_other_write_enable": "YES",
        "anon_umask": "022",
        "no_anon_password": "YES",
        "ssl_enable": "YES",
        "allow_anon_ssl": "YES",
        "force_anon_data_ssl": "YES",
        "force_anon_logins_ssl": "YES",
        "ssl_tlsv1": "NO",
        "rsa_cert_file": pem,
        "rsa_private_key_file": pem,
        "ssl_ciphers": "HIGH",
        "xferlog_enable": "NO",
    }
    configuration = folder / "vsftpd.conf"
    configuration.write_text("".join(f"{name}={value}\n" for name, value in options.items()), encoding="utf-8")
    configuration.chmod(0o600)
    with started([VSFTPD, str(configuration)], os.environ, folder / "vsftpd.log") as process:
        wait_until(lambda: process.poll() is not None or _listens(port), "vsftpd listens")
        assert process.poll() is None, (folder / "vsftpd.log").read_text(encoding="utf-8")
        yield _ftp_settings(port, "backup", pem).model_copy(update={"ftp_user": "anonymous"})


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def s3() -> Iterator[SpaceSettings]:
    """The S3 of moto."""
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=USER,
        aws_secret_access_key=PASSWORD,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="backups")
    client.close()
    try:
        yield SpaceSettings(
            BACKUP_STORAGE_URL="s3://backups/imixs",
            BACKUP_STORAGE_S3_ENDPOINT=endpoint,
            BACKUP_STORAGE_USER=USER,
            BACKUP_STORAGE_PASSWORD=PASSWORD,
        )  # type: ignore[call-arg]
    finally:
        server.stop()


@contextmanager
def sftp(folder: Path) -> Iterator[SpaceSettings]:
    """An SFTP server of paramiko whose key is among the known hosts."""
    root = folder / "sftp" / "backup"
    root.mkdir(parents=True)
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server((HOST, 0))
    port = listener.getsockname()[1]
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[{HOST}]:{port} {key.get_name()} {key.get_base64()}\n", encoding="utf-8")
    transports: list[paramiko.Transport] = []
    thread = threading.Thread(target=_accept, args=(listener, key, root.parent, transports), daemon=True)
    thread.start()
    try:
        yield SpaceSettings(
            BACKUP_STORAGE_URL=f"sftp://{HOST}:{port}/backup",
            BACKUP_STORAGE_USER=USER,
            BACKUP_STORAGE_PASSWORD=PASSWORD,
            BACKUP_STORAGE_KNOWN_HOSTS_PATH=known_hosts,
            BACKUP_STORAGE_TIMEOUT_SECONDS=15,
        )  # type: ignore[call-arg]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        for transport in transports:
            transport.close()


def _accept(listener: socket.socket, key: paramiko.PKey, root: Path, transports: list[paramiko.Transport]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, root)
            transports.append(transport)
            # With an event it does not wait here for a client that may be killed before they have agreed on anything.
            transport.start_server(event=threading.Event(), server=_Door())


class _Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return OPEN_SUCCEEDED


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: paramiko.ServerInterface, root: Path) -> None:
        super().__init__(server)
        self._root = root

    def _path(self, path: str) -> Path:
        return self._root / self.canonicalize(path).lstrip("/")

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(self._path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    lstat = stat

    def list_folder(self, path: str) -> Any:
        try:
            return [
                paramiko.SFTPAttributes.from_stat(found.stat(), filename=found.name)
                for found in self._path(path).iterdir()
            ]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def open(self, path: str, flags: int, attr: Any) -> Any:
        del attr
        try:
            number = os.open(self._path(path), flags | getattr(os, "O_BINARY", 0), 0o600)
            file = os.fdopen(number, "r+b" if flags & (os.O_WRONLY | os.O_RDWR) == os.O_RDWR else
                             "wb" if flags & os.O_WRONLY else "rb")  # fmt: skip
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        handle.filename = str(self._path(path))  # type: ignore[attr-defined]
        handle.readfile = handle.writefile = file  # type: ignore[attr-defined]
        return handle

    def _did(self, call: Any) -> int:
        try:
            call()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return SFTP_OK

    def remove(self, path: str) -> int:
        return self._did(self._path(path).unlink)

    def rename(self, oldpath: str, newpath: str) -> int:
        if self._path(newpath).exists():
            return SFTP_FAILURE
        return self._did(lambda: self._path(oldpath).rename(self._path(newpath)))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._did(lambda: self._path(oldpath).rename(self._path(newpath)))

    def mkdir(self, path: str, attr: Any) -> int:
        del attr
        return self._did(self._path(path).mkdir)
