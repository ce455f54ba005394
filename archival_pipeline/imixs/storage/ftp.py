"""FTP with explicit TLS on both channels.

The data channel takes up the TLS session of the control channel: servers such as vsftpd refuse a data channel that
does not, and so make sure that the one who transfers is the one who has logged in. Only commands that every server has
are used (no MLSD). Not here: the settings (``opening.py``).
"""

from __future__ import annotations

import ftplib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from archival_pipeline.imixs.failures import StorageError
from archival_pipeline.imixs.storage.store import PIECE, parent_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import BinaryIO

    from pydantic import SecretStr

T = TypeVar("T")

_MISSING = "550"
_BINARY = "TYPE I"
# What ftplib lets through besides its own errors: a server that answers with something else, a broken TLS channel.
_BROKEN: tuple[type[Exception], ...] = (ftplib.Error, OSError, EOFError, ValueError)


@dataclass(frozen=True, slots=True)
class FtpAddress:
    """Where the server is and how to log in; the password stays out of its text."""

    host: str
    port: int
    root: str
    user: str
    password: SecretStr
    tls: ssl.SSLContext
    timeout: float


class _Channel(ssl.SSLSocket):
    """A channel whose end need not be polite: some servers close an empty listing before TLS is up.

    Nothing rests on it: a transfer counts when the server has said 226 on the control channel.
    """

    def unwrap(self) -> socket.socket:
        """Say goodbye, if the other side is there to hear it."""
        try:
            return super().unwrap()
        except OSError:
            return self


class _Session(ftplib.FTP_TLS):
    """A control connection whose data channels reuse its TLS session, and that asks for binary mode only once."""

    _is_binary = False

    def voidcmd(self, cmd: str) -> str:
        """Send a command; the plain class asks for binary mode before each transfer, which costs a round trip."""
        if cmd == _BINARY and self._is_binary:
            return "200"
        answer = super().voidcmd(cmd)
        self._is_binary = self._is_binary or cmd == _BINARY
        return answer

    def sendcmd(self, cmd: str) -> str:
        """Send a command; a listing changes the mode by this way."""
        self._is_binary = self._is_binary and not cmd.startswith("TYPE")
        return super().sendcmd(cmd)

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """Open a data channel."""
        # The method of the plain class: that of the TLS class would wrap the channel without the session.
        channel, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 - the channel is wrapped below
        if not self._prot_p:  # type: ignore[attr-defined]
            return channel, size
        control: Any = self.sock
        return self.context.wrap_socket(channel, server_hostname=self.host, session=control.session), size


class FtpStore:
    """A folder of an FTP server; the connection is made when it is needed, and made anew after a failure."""

    def __init__(self, address: FtpAddress) -> None:
        self._address = address
        self._session: _Session | None = None
        self._made: set[str] = set()
        self.name = f"ftps://{address.host}:{address.port}/{address.root.strip('/')}"

    def check(self) -> None:
        """Log in and enter the root."""
        self._do("entering the root", lambda ftp: ftp.cwd(self._full("")))

    def size(self, path: str) -> int | None:
        """Size of a file; SIZE tells the truth in binary mode only."""

        def ask(ftp: _Session) -> int | None:
            try:
                return ftp.size(self._full(path))
            except ftplib.error_perm as error:
                if str(error).startswith(_MISSING):
                    return None
                raise

        return self._do("asking for a size", ask)

    def read(self, path: str, sink: Callable[[bytes], object]) -> None:
        """Read a file; one that breaks off raises, because the server says so at its end."""
        self._do("reading a file", lambda ftp: ftp.retrbinary(f"RETR {self._full(path)}", sink, PIECE))

    def write(self, path: str, source: BinaryIO) -> None:
        """Write a file."""

        def store(ftp: _Session) -> None:
            self._make(ftp, parent_of(path))
            ftp.storbinary(f"STOR {self._full(path)}", source, PIECE)

        self._do("writing a file", store)

    def move(self, source: str, target: str) -> None:
        """Rename a file. A server that will not replace one is asked to delete it first."""

        def rename(ftp: _Session) -> None:
            self._make(ftp, parent_of(target))
            try:
                ftp.rename(self._full(source), self._full(target))
            except ftplib.error_perm:
                if ftp.size(self._full(source)) is None:
                    raise
                ftp.delete(self._full(target))
                ftp.rename(self._full(source), self._full(target))

        self._do("renaming a file", rename)

    def remove(self, path: str) -> None:
        """Delete a file."""

        def delete(ftp: _Session) -> None:
            try:
                ftp.delete(self._full(path))
            except ftplib.error_perm as error:
                if not str(error).startswith(_MISSING):
                    raise

        self._do("deleting a file", delete)

    def names(self, path: str) -> list[str]:
        """List a folder; some servers answer with whole paths, and some say 550 for an empty one."""

        def ask(ftp: _Session) -> list[str]:
            try:
                found = ftp.nlst(self._full(path))
            except ftplib.error_perm as error:
                if not str(error).startswith(_MISSING):
                    raise
                found = []
            # A listing leaves the connection in text mode, in which servers deny every SIZE as if nothing were there.
            ftp.voidcmd(_BINARY)
            return sorted({name.rstrip("/").rpartition("/")[2] for name in found} - {".", ".."})

        return self._do("listing a folder", ask)

    def close(self) -> None:
        """Say goodbye, if anybody listens."""
        if self._session is not None:
            try:
                self._session.quit()
            except _BROKEN:
                self._session.close()
            self._session = None

    def _full(self, path: str) -> str:
        return f"/{self._address.root.strip('/')}/{path}".rstrip("/")

    def _make(self, ftp: _Session, folder: str) -> None:
        """Make a folder below the root, parents first; the root is never made."""
        if not folder or folder in self._made:
            return
        self._make(ftp, parent_of(folder))
        try:
            ftp.mkd(self._full(folder))
        except ftplib.error_perm:
            # It is there already, or the next command says what is wrong.
            ftp.cwd(self._full(folder))
        self._made.add(folder)

    def _do(self, doing: str, call: Callable[[_Session], T]) -> T:
        try:
            return call(self._connected())
        except _BROKEN as error:
            self._forget()
            raise StorageError(
                f"The FTP server {self._address.host} failed while {doing}: {_said(error)}",
                resolve="Check the server and its folder; the next run tries again.",
            ) from None

    def _connected(self) -> _Session:
        if self._session is None:
            address = self._address
            address.tls.sslsocket_class = _Channel
            session = _Session(context=address.tls, timeout=address.timeout, encoding="utf-8")
            try:
                session.connect(address.host, address.port)
                session.login(address.user, address.password.get_secret_value())
                session.prot_p()
                session.voidcmd(_BINARY)
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def _forget(self) -> None:
        """Drop the connection: after a failure nobody knows which answer comes next."""
        self._made.clear()
        if self._session is not None:
            self._session.close()
            self._session = None


def _said(error: BaseException) -> str:
    return str(error).strip().rstrip(".")[:300] or type(error).__name__
