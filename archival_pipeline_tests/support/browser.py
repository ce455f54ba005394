"""A real browser on the Dagster UI: opens pages, types, presses buttons, takes pictures.

Debian's Chromium is driven; nothing is downloaded. Not here: what is expected of the pages (``e2e/test_browser.py``).
"""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import sync_playwright

from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

_JOBS = "/locations/archival_pipeline.definitions/jobs"
_SECONDS = 240
_SIZE = {"width": 1280, "height": 800}
Tab = Literal["", "playground", "runs", "partitions"]


@dataclass(frozen=True, slots=True)
class Browser:
    """One page of a browser.

    Attributes:
        page: as Playwright has it.
        address: of the UI, without a slash at its end.
        pictures: the folder that pictures go to.
    """

    page: Page
    address: str
    pictures: Path

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def open_job(self, job: str, tab: Tab = "") -> None:
        self.open(f"{_JOBS}/{job}/{tab}".rstrip("/"))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def text(self, words: str) -> Locator:
        """The first place where these words stand alone."""
        return self.page.get_by_text(words, exact=True).first

    def see(self, words: str, seconds: float = _SECONDS) -> None:
        """Wait until these words can be seen."""
        self.text(words).wait_for(timeout=seconds * 1000)

    def see_times(self, words: str, times: int, seconds: float = _SECONDS) -> None:
        """Wait until these words can be seen so many times."""
        places = self.page.get_by_text(words, exact=True)
        wait_until(lambda: places.count() >= times, f"«{words}» is there {times} times", seconds)

    def launch(self, job: str, config: str) -> str:
        """Fill in the launchpad and press the button; return the id of the run, whose page is open then."""
        self.open_job(job, "playground")
        # The form fills itself in first; typing before would be typed into.
        self.see("No missing config")
        self.page.locator(".CodeMirror, .cm-content").first.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(config)
        self.see("No errors")
        return self.press_launch()

    def press_launch(self) -> str:
        """Press «Launch Run»; return the id of the run, whose page is open then."""
        self.press("Launch Run")
        self.page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}"))
        found = re.search(r"/runs/([0-9a-f-]{36})", self.page.url)
        assert found is not None
        return found[1]

    def watch_to_the_end(self, run_id: str, seconds: float = _SECONDS) -> None:
        """Look at a run until it says «Success»."""
        self.open(f"/runs/{run_id}")
        self.see("Success", seconds)

    def only_events(self, words: str) -> None:
        """Show only the events of a run with these words."""
        field = self.page.get_by_placeholder("Filter…")
        field.fill(words)
        field.press("Enter")

    def picture(self, name: str) -> None:
        """Take a picture of what is seen."""
        self.page.mouse.move(1, 1)
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")


@contextmanager
def opened(address: str, pictures: Path) -> Iterator[Browser]:
    """Open a browser; closed afterwards.

    Args:
        address: of the UI.
        pictures: the folder that pictures go to.
    """
    program = shutil.which("chromium")
    assert program is not None, "there is no chromium on this machine: run .ci/chromium"
    with sync_playwright() as playwright:
        # Without its sandbox, which does not work as root; nothing but our own pages is opened.
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            page = chromium.new_page(viewport=_SIZE, timezone_id="UTC", reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_default_timeout(_SECONDS * 1000)
            yield Browser(page, address.rstrip("/"), pictures)
        finally:
            chromium.close()
