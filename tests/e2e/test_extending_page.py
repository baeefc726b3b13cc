"""The examples of docs/extending.md work as they stand."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import program
import pytest
from small_campaign import measure_small

import orchestrator
from orchestrator import commands
from orchestrator.analysis import table
from orchestrator.analysis import tables as declared_tables
from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.quality import judge
from orchestrator.analysis.reading import readings
from orchestrator.commands.reading import store_report
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import parse_trial
from orchestrator.exchange import formats
from orchestrator.metrics import METRICS, Answers
from orchestrator.report import findings
from orchestrator.report.chart_files import svg_of
from orchestrator.report.result_tables import shown
from orchestrator.report.text import milliseconds
from orchestrator.stats.stopping import RULES, RoundObservation, make_rule
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import open_campaign

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def names(example: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(example, found)
    return found


@contextmanager
def added(package: ModuleType, folder: Path, name: str, mark: str) -> Iterator[None]:
    """Have the example that holds a mark as one more file of a package."""
    [example] = [one for one in EXAMPLES if mark in one]
    (folder / f"{name}.py").write_text(example, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        yield
    sys.modules.pop(f"{package.__name__}.{name}", None)


def test_the_system(tmp_path: Path) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "first_core.yaml").write_text(example, "utf-8")
    words = ["model=resnet18", "task=imagenet_samples", "system=first_core"]
    [document] = compose_trials(words, config_dirs=[tmp_path]).documents
    assert parse_trial(document).system.cores == (0,)


def test_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind, example in (("word_errors", "WordErrors", 0), ("rms", "RootMeanSquare", 1)):
        monkeypatch.setattr(sys.modules[__name__], kind, names(EXAMPLES[example])[kind], raising=False)
        monkeypatch.setitem(METRICS, name, f"{__name__}:{kind}")
    judged = judge("word_errors", Answers([["a"], ["c"]], [["a", "x"], ["c"]]))
    assert judged.shown(judged.ideal()) == 0.25
    judged = judge("rms", Answers([1, 5], [1, 2]))
    quality = judged.curve([[10.0, 20.0]], [15.0, 5.0])[:, 0]
    assert [judged.shown(one) for one in quality] == pytest.approx([50**0.5, 10])


def test_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "steady", names(EXAMPLES[2])["Steady"])
    rule = make_rule("steady", min_rounds=4, max_rounds=50, options={"bound": 0.01})
    times = np.random.default_rng(0).lognormal(17, 0.1, (50, 20))
    decisions = [rule.update(RoundObservation(n, dict.fromkeys(Clock, times[n]), lambda _: 0.9, 0.9), float(n)) for n in range(50)]
    stop = next(decision for decision in decisions if decision.stop)
    assert stop.reason == "steady"
    assert (stop.check or {})["moved"] == pytest.approx(0)


def test_the_figure(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r", rounds=6))
    [reading] = readings(analyse(campaign, campaign.record.config.analysis))
    [example] = [one for one in EXAMPLES if "def median_chart" in one]
    chart = names(example)["median_chart"](reading)
    drawn = {row["of"]: row["y"] for row in chart.spec["data"]["values"]}
    for entry in reading.entries:
        medians = np.median(entry.data.inferences[Clock.TOTAL], axis=1) / 1e6
        assert drawn[entry.label] == pytest.approx(medians, rel=1e-3)
    assert "<svg" in svg_of(chart.spec)


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file in the folder is a new table: stored, read and shown."""
    monkeypatch.setattr(table, "DECLARED", dict(table.DECLARED))
    with added(declared_tables, tmp_path, "fastest", "def fastest"):
        table.tables.cache_clear()
        results = store_report(measure_small(tmp_path / "r"), AnalysisConfig())[0]
        least = orchestrator.open(tmp_path / "r").table("fastest").column("least_ns").to_pylist()
        [shown_table] = shown(results, "fastest")
    table.tables.cache_clear()
    assert least == [data.times["total"].min() for group in results.groups for data in group.trials]
    assert [row[-1] for row in shown_table.rows] == [milliseconds(one) for one in least]


def test_the_verb(tmp_path: Path) -> None:
    with added(commands, tmp_path, "greet", "import click"):
        assert program.orchestrator("greet", "Ada", "--loud", cwd=tmp_path).stdout == "hello Ada!\n"


def test_the_format(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("10.5\n12\n", "utf-8")
    with added(formats, tmp_path, "lines", "Recording("):
        [recording] = formats.recordings_of("lines", [tmp_path / "times.txt"], {})
    assert recording.table.to_pydict() == {"inference_ms": [10.5, 12.0]}


def test_the_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = [one for one in EXAMPLES if "rounds_in_all" in one]
    [template] = re.findall(r"```jinja\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "rounds_in_all.j2").write_text(template, "utf-8")
    campaign = open_campaign(measure_small(tmp_path / "r"))
    results = analyse(campaign, campaign.record.config.analysis)
    monkeypatch.setattr(findings, "__path__", [*findings.__path__, str(tmp_path)])
    findings._environment.cache_clear()
    [found] = names(example)["rounds_in_all"](results)
    assert findings.say(found, "markdown") == f"Measured: {sum(record.rounds for record in results.records)} rounds, see `status`"
    findings._environment.cache_clear()
