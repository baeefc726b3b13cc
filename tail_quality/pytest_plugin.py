"""The fixture ``tail_quality`` of pytest, its options, and the table at the end of a session."""

import re
from collections.abc import Callable
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest

KEY = "tail_quality"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    group = parser.getgroup(KEY)
    group.addoption("--tail-quality-save", metavar="DIR", type=Path, help="store each measurement as a campaign in DIR/TEST/TIME")
    group.addoption("--tail-quality-compare", metavar="DIR", type=Path, help="compare with what was stored in DIR; three give a verdict")
    group.addoption("--tail-quality-strict", action="store_true", help="a result that is inconclusive fails, in place of being skipped")


@pytest.fixture
def tail_quality(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Measure a function, as `tail_quality.measure` does, and hold its quality within a deadline against ``at_least``.

    The test fails where that is shown to be less, or what was stored before to be better; it is skipped where too little is shown.
    """
    options, name = request.config.option, re.sub(r"[^A-Za-z0-9_.-]+", "_", request.node.nodeid)
    # Of a test that measures several times, each has a folder of its own.
    places = (name if number == 1 else f"{name}.{number}" for number in count(1))

    def say(message: str) -> None:
        reporter, capture = map(request.config.pluginmanager.getplugin, ("terminalreporter", "capturemanager"))
        if reporter is not None and capture is not None:  # a worker of pytest-xdist has no terminal
            with capture.global_and_fixture_disabled():
                reporter.write_sep("-", f"{request.node.name}: {message}")

    def check(
        fn: Any,
        inputs: Any,
        labels: Any,
        *,
        deadline: str,
        at_least: float = 0.95,
        rounds: int = 120,
        **settings: Any,
    ) -> Any:
        from orchestrator.contracts import InputError
        from orchestrator.measurement.failures import TrialFailed
        from orchestrator.report.text import milliseconds, quality, quality_within
        from tail_quality.measuring import measure

        place = next(places)
        try:
            result = measure(fn, inputs, labels, deadline=deadline, rounds=rounds, say=say, **settings)
        except (InputError, TrialFailed) as error:
            pytest.fail(str(error), pytrace=False)
        found = result.verdict(deadline, at_least)
        before, worse = against(options.tail_quality_compare / place, result) if options.tail_quality_compare else ("", False)
        if options.tail_quality_save:
            result.save(options.tail_quality_save / place / f"{result.created_at:%Y-%m-%dT%H-%M-%S.%fZ}")
        verdict = f"{found.outcome}{f': {found.more_rounds} more rounds' if found.more_rounds else ''}"
        row = [
            request.node.name,
            quality(result.quality(deadline)),
            quality_within(*result.quality_interval(deadline)),
            *(milliseconds(result.latency(percentile) * 1e6) for percentile in (50, 99)),
            f"{at_least:g} within {deadline}",
            verdict,
            before,
        ]
        request.node.user_properties.append((KEY, row))
        if worse or found.outcome == "not met" or (found.outcome == "inconclusive" and options.tail_quality_strict):
            pytest.fail(f"{verdict}: {found.why}{f'; {before}' if worse else ''}", pytrace=False)
        if found.outcome == "inconclusive":
            pytest.skip(f"{verdict}: {found.why}")
        return result

    return check


def against(folder: Path, result: Any) -> tuple[str, bool]:
    """Return how a result stands to what earlier sessions stored in a folder, in words, and whether it is shown worse."""
    from orchestrator.compare.campaigns import compare
    from orchestrator.compare.rows import WORSE
    from orchestrator.compare.sides import baseline_of
    from orchestrator.storage.reader import open_campaign

    analysis = result.analysed.analysis
    stored = [baseline_of(open_campaign(path.parent), analysis) for path in sorted(folder.glob("*/campaign.json"))]
    if not stored:
        return "nothing stored", False
    row = compare(stored[0].model_copy(update={"added": tuple(stored[1:])}), open_campaign(result.directory), analysis).rows[0]
    means = f"{sum(row.means_before) / len(row.means_before):.3f} in {len(stored)}: " if row.means_before else ""
    return f"{means}{row.outcome}", row.kind == WORSE


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what the fixture has measured."""
    reports = (report for of_kind in terminalreporter.stats.values() for report in of_kind if getattr(report, "when", "") == "call")
    if rows := [value for report in reports for key, value in report.user_properties if key == KEY]:
        from orchestrator.report.table import Table
        from orchestrator.report.terminal import Terminal

        Terminal(written := StringIO()).table(
            Table(
                title="",
                columns=["test", "quality", "95 % interval", "p50", "p99", "asked", "verdict", "stored before"],
                rows=rows,
                right=frozenset(["quality", "p50", "p99"]),
            )
        )
        terminalreporter.section("tail quality")
        terminalreporter.write_line(written.getvalue().strip("\n"))
