"""An Apache Kafka broker in KRaft mode, for the slow tests: one process, no ZooKeeper, no container.

Needs Java 17 and Maven, which brings the jars that ``kafka/pom.xml`` names. Run this module to try it by hand.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from collections.abc import Iterator

_POM = Path(__file__).parent / "kafka" / "pom.xml"
_JARS = Path(__file__).resolve().parents[2] / "build" / "kafka-jars"
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"
_START_SECONDS = 60
_HEAP = ("-Xms128m", "-Xmx384m")


def missing() -> str | None:
    """Why there can be no broker here, or None."""
    lacking = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if lacking:
        return f"{' and '.join(lacking)} not installed"
    try:
        _bring_jars()
    except subprocess.SubprocessError as error:
        return f"Maven cannot bring the jars of Kafka: {error}"
    return None


def _bring_jars() -> None:
    if any(_JARS.glob("kafka_2.13-*.jar")):
        return
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={_JARS}"]
    subprocess.run(command, check=True, timeout=300, capture_output=True)


@contextmanager
def broker() -> Iterator[str]:
    """A fresh broker; yields its address."""
    folder = Path(tempfile.mkdtemp(prefix="archival-kafka-"))
    port, controller = _free_port(), _free_port()
    properties = folder / "server.properties"
    properties.write_text(_properties(folder, port, controller), encoding="utf-8")
    _java("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties))
    with (folder / "broker.log").open("wb") as log:
        command = ["java", *_HEAP, "-cp", f"{_JARS}/*", "kafka.Kafka", str(properties)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_until_up(process, f"127.0.0.1:{port}", folder / "broker.log")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def _properties(folder: Path, port: int, controller: int) -> str:
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "num.partitions": "4",
    }
    return "\n".join(f"{name}={value}" for name, value in values.items())


def _java(*arguments: str) -> None:
    command = ["java", *_HEAP, "-cp", f"{_JARS}/*", *arguments]
    subprocess.run(command, check=True, timeout=120, capture_output=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            client.list_topics(timeout=2)
        except KafkaException:
            continue
        return
    message = f"Kafka did not start: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)


def main() -> int:
    """Run a broker until Enter is pressed."""
    reason = missing()
    if reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    with broker() as address:
        sys.stdout.write(f"HISTORY_KAFKA_SERVERS={address} HISTORY_KAFKA_REPLICAS=1; Enter ends it.\n")
        sys.stdin.readline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
