"""``make bench-imixs``: the Imixs backup beside one-by-one transfer, and its memory with large attachments.

Both lines do the same queue on the same servers, each in a process of its own: an instance over HTTP, an FTP server
with TLS on both channels. The reference does what the original does, one document after the other on one connection:
lock, get, store under the final name, delete the entry; it reads nothing back. Ours does it in lanes, and reads every
file back before its entry goes. Further lines have servers that are some milliseconds away, as they are in production:
each command and each call waits that long.
"""

from __future__ import annotations

import ftplib
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx
from defusedxml import ElementTree
from rich.console import Console
from rich.table import Table

from archival_pipeline.local.postgres import EmbeddedPostgres
from archival_pipeline_tests.support.databases import TestDatabases
from archival_pipeline_tests.support.imixs import spaces
from archival_pipeline_tests.support.imixs.instance import running_instance
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id, migrated

if TYPE_CHECKING:
    from collections.abc import Sequence

_SMALL = 20_000
_LANES = 8
_LOOK_SECONDS = 0.1
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


@click.command()
@click.option("--documents", default=300, show_default=True, type=click.IntRange(1), help="Documents of 20 kB each.")
@click.option("--distance", default=(0, 10, 40), show_default=True, multiple=True, help="Milliseconds to the servers.")
@click.option("--large", default=4, show_default=True, type=click.IntRange(1), help="Attachments of 100 MB at once.")
def main(documents: int, distance: tuple[int, ...], large: int) -> None:
    """Measure, and print two tables."""
    console = Console(highlight=False)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="archival-bench-")))
        cluster = running.enter_context(EmbeddedPostgres(folder / "cluster"))
        databases = TestDatabases(cluster)
        faults = spaces.Faults()
        space = running.enter_context(spaces.ftp(folder, faults))
        (folder / "instance").mkdir()
        instance = running.enter_context(running_instance(folder / "instance"))
        scene = Scene(instance, databases.fresh(databases.template("imixs", migrated)), space)
        table = Table(title="Documents per second", title_justify="left")
        for column in ("servers", "one by one", f"{_LANES} lanes, read back", "ratio"):
            table.add_column(column, justify="right")
        for away in distance:
            table.add_row(f"{away} ms away", *_compare(scene, faults, documents, away))
        console.print(table)
        console.print(_memory(scene, large))


def _compare(scene: Scene, faults: spaces.Faults, documents: int, away: int) -> list[str]:
    rates = []
    for command in (_sequential(), _product()):
        _fill(scene, documents)
        if away:
            faults.before = lambda _: time.sleep(away / 1000)
            scene.instance.fault("(eventlog|documents)", f"slow {away}", times=1_000_000_000)
        scene.instance.seconds()
        _run(scene, command)
        # By the instance's clock, from the first call to the last: the start of the programs is part of neither line.
        rates.append(documents / scene.instance.seconds())
        faults.before = None
        scene.instance.calm()
        assert scene.instance.entries() == []
        assert len(scene.names(MONTH)) >= documents
    return [f"{rates[0]:.1f}", f"{rates[1]:.1f}", f"{rates[1] / rates[0]:.2f}"]


def _memory(scene: Scene, large: int) -> Table:
    table = Table(title="Peak memory of the process", title_justify="left")
    for column in ("documents", "attachments", "peak MB"):
        table.add_column(column, justify="right")
    _fill(scene, 20)
    table.add_row("20", "20 kB each", f"{_run(scene, _product()):.0f}")
    scene.instance.empty()
    for number in range(large):
        scene.instance.blob(document_id(number), 100 << 20)
    table.add_row(str(large), "100 MB each", f"{_run(scene, _product()):.0f}")
    assert scene.instance.entries() == []
    return table


def _fill(scene: Scene, documents: int) -> None:
    scene.instance.empty()
    for number in range(documents):
        scene.instance.save(document_id(number), files={"a.bin": os.urandom(_SMALL)}, created=CREATED)


def _product() -> list[str]:
    return [str(Path(sys.executable).with_name("archival-pipeline")), "imixs", "backup"]


def _sequential() -> list[str]:
    return [sys.executable, "-m", "archival_pipeline_tests.bench.imixs", "one-by-one"]


def _run(scene: Scene, command: Sequence[str]) -> float:
    """Run a program that must succeed; return its peak of memory in megabytes."""
    environment = scene.environment() | {"BACKUP_LANES": str(_LANES)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        # The peak that the kernel keeps of the program itself; that of its resource usage begins with ours.
        peak = max(peak, _peak_of(process.pid))
        time.sleep(_LOOK_SECONDS)
    assert process.returncode == 0
    return peak


def _peak_of(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return float((_PEAK.search(status) or ["", "0"])[1]) / 1024


def one_by_one() -> None:
    """The reference: one connection, one document after the other, nothing read back."""
    given = os.environ
    auth = (given["WORKFLOW_SERVICE_USER"], given["WORKFLOW_SERVICE_PASSWORD"])
    ftp = _Reference(context=ssl.create_default_context(cafile=given["BACKUP_FTP_CA_CERT_PATH"]))
    ftp.connect(given["BACKUP_FTP_HOST"], int(given["BACKUP_FTP_PORT"]))
    ftp.login(given["BACKUP_FTP_USER"], given["BACKUP_FTP_PASSWORD"])
    ftp.prot_p()
    root = f"/{given['BACKUP_FTP_PATH']}"
    for folder in MONTH.split("/"):
        root = f"{root}/{folder}"
        with suppress(ftplib.error_perm):
            ftp.mkd(root)
    with httpx.Client(base_url=f"{given['WORKFLOW_SERVICE_ENDPOINT']}/", auth=auth, trust_env=False) as http:
        while entries := _entries(http):
            for entry, snapshot in entries:
                http.post(f"eventlog/lock/{entry}").raise_for_status()
                content = http.get(f"documents/{snapshot}").raise_for_status().content
                ftp.storbinary(f"STOR {root}/{snapshot.rpartition('-')[0]}.xml", BytesIO(content))
                http.delete(f"eventlog/{entry}").raise_for_status()
    ftp.quit()


class _Reference(ftplib.FTP_TLS):
    """The plain library's connection."""


def _entries(http: httpx.Client) -> list[tuple[str, str]]:
    root = ElementTree.fromstring(http.get("eventlog/snapshot.backup?maxCount=100").raise_for_status().content)
    return [
        (str(found.findtext("item[@name='id']/value")), str(found.findtext("item[@name='ref']/value")))
        for found in root.findall("document")
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["one-by-one"]:
        one_by_one()
    else:
        main()
