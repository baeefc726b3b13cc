"""A campaign on a clock that leaps at random, its report, and a headless Chromium to look at it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browsing import DESK, slide
from null_trials import measure_by, null_document, planned
from small_campaign import importable
from virtual_clock import SteppingClock

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.report.html.page import render
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import CampaignRecord, LeftOut, TrialRecord

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READINGS_PER_TRIAL = 26 * 20 * 4
HOSTILE = "<img src=x onerror=\"document.title='broken'\">"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: looks at a page in headless Chromium")


def leaping_clock() -> SteppingClock:
    """Each reading is some time after the last one, by a seed; later trials are slower, which are measured one after another."""
    chance = np.random.default_rng(5)
    clock = SteppingClock(lambda: int(1e6 * (1 + 0.3 * (clock.readings // READINGS_PER_TRIAL)) * chance.lognormal(0, 0.2)))
    return clock


def trial(system: str, runtime: str, rounds: int = 24, **model: object) -> dict[str, Any]:
    return null_document(
        model={"runtimes": ["torch", "onnxruntime"], "wrong": [3, 7], **model},
        system={"name": system},
        runtime={"name": runtime},
        measurement={"rule": "paper", "min_rounds": rounds, "max_rounds": rounds, "schedule": "sequential"},
    )


def run_crowd(folder: Path) -> Path:
    """Measure 24 trials: three models on four systems with two runtimes."""
    choices = product(("null", "other", "third"), ("one", "two", "three", "four"), ("torch", "onnxruntime"))
    return measured(folder, [trial(system, runtime, 12, name=name) for name, system, runtime in choices])


def run_campaign(folder: Path, models: Sequence[str] = ("small_model", "large_model")) -> Path:
    """Measure models on two systems with two runtimes, and one trial that fails."""
    choices = product(models, ("small", "large"), ("torch", "onnxruntime"))
    documents = [trial(system, runtime, name=name) for name, system, runtime in choices]
    return measured(folder, [*documents, trial("large", "torch", name="broken", fails_to_load=True)])


def measured(folder: Path, documents: list[dict[str, Any]]) -> Path:
    record = CampaignRecord(
        created_at=datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
        code_version="test",
        name="a <b>small</b> campaign",
        command=("+sweep=<script>alert(1)</script>",),
        trials=tuple(planned(*documents)),
        left_out=(LeftOut(pair=("null", "<i>tensorflow</i>"), reason="offers </script> no such runtime"),),
    )
    return measure_by(leaping_clock(), folder / "results", record)


class HostileCampaign(Campaign):
    """The same campaign with HTML in the names of models, systems and hosts, as a stranger's files could hold it."""

    def trial(self, trial_id: str) -> TrialRecord:
        record = super().trial(trial_id)
        model = record.trial.model.model_copy(update={"name": HOSTILE})
        system = record.trial.system.model_copy(update={"name": f"<b>{record.trial.system.name}</b>"})
        changed = record.trial.model_copy(update={"model": model, "system": system})
        placement = {**record.placement, "host": "</script><script>document.title='broken'</script>"} if record.placement else {}
        environment = {**record.environment, "host": "&lt;host&gt;"} if record.environment else {}
        return record.model_copy(update={"trial": changed, "placement": placement, "environment": environment})


@dataclass(frozen=True)
class Reported:
    directory: Path
    results: CampaignAnalysis
    page: Path


def reported(campaign: Campaign, page: Path) -> Reported:
    results = analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "5 ms"}))
    page.write_text(render(results), encoding="utf-8")
    return Reported(campaign.directory, results, page)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    return stored_and_reported(tmp_path_factory.mktemp("report"), run_campaign)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A report of four trials, for browsers: every row costs them time."""
    return stored_and_reported(tmp_path_factory.mktemp("small"), partial(run_campaign, models=["small_model"]))


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A report of 24 trials."""
    return stored_and_reported(tmp_path_factory.mktemp("crowd"), run_crowd)


def stored_and_reported(folder: Path, run: Callable[[Path], Path]) -> Reported:
    with importable():
        directory = run(folder)
    return reported(open_campaign(directory), folder / "report.html")


@pytest.fixture(scope="session")
def hostile_report(small: Reported) -> Reported:
    return reported(HostileCampaign(small.directory), small.page.with_name("hostile.html"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install '.[test]'")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        # Chromium as root refuses its own sandbox; the page is ours.
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page and everything it said or asked for."""

    page: Page
    said: list[str]
    asked: list[str]


@contextlib.contextmanager
def visiting(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open pages, each in a context of its own, and close them again."""
    with contextlib.ExitStack() as contexts:

        def visit(path: Path, view: str = "", **options: object) -> Visit:
            context = contexts.enter_context(contextlib.closing(browser.new_context(**options)))
            found = Visit(context.new_page(), [], [])
            found.page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
            found.page.on("pageerror", lambda error: found.said.append(f"error: {error}"))
            found.page.on("request", lambda request: found.asked.append(request.url))
            found.page.goto(f"{path.as_uri()}{view}")
            found.page.locator("html[data-ready]").wait_for(state="attached")
            return found

        yield visit


@pytest.fixture(scope="module")
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    with visiting(chromium) as open_page:
        yield open_page


@pytest.fixture(scope="session")
def opened(small: Reported, chromium: Browser) -> Iterator[Visit]:
    """A page that many tests look at: drawing all of it takes seconds."""
    with visiting(chromium) as open_page:
        yield open_page(small.page, viewport=DESK)


@pytest.fixture
def page(opened: Visit) -> Page:
    """The same page with its controls where they were when it was opened."""
    opened.page.select_option("[data-clock]", "total")
    slide(opened.page, 0)
    return opened.page
