from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest

from orchestrator.analysis.ranking import rankings
from orchestrator.analysis.reading import Entry, readings
from orchestrator.contracts import InputError
from orchestrator.report.chart_files import write_figures
from orchestrator.report.figures.charts import figures
from orchestrator.report.figures.charts.latency import percentile_chart
from orchestrator.report.figures.charts.quality import curve_chart
from orchestrator.report.findings import of_task
from orchestrator.report.findings.say import say
from orchestrator.report.html.page import render, without_workers
from orchestrator.report.html.panels import figure_of

pytestmark = pytest.mark.slow

KINDS = {
    "tail-quality", "density", "distribution", "percentiles", "rounds", "rounds-histogram", "ranking", "prediction", "stages", "evidence",
    "rjsd",
}  # fmt: skip


def test_equal_results_and_seed_give_equal_bytes(report: Any) -> None:
    assert render(report.results, report.evidence) == report.page.read_text(encoding="utf-8")


def test_a_list_of_tasks_has_the_findings_of_each(report: Any) -> None:
    (group,) = report.results.groups
    text = render(replace(report.results, groups=(group, replace(group, task="others"))), report.evidence)
    listed = re.findall(r'(?s)<tr id="in-short-.*?</tr>', text)
    assert [f"{task} (top1)" in row for task, row in zip(("numbers", "others"), listed, strict=True)] == [True, True]
    said = say(next(iter(of_task(report.results, rankings(report.results)[0]))), "html")
    assert all(said in row for row in listed)


def test_percentiles_are_solid_exactly_where_the_table_certifies_them(report: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    rows = report.results.tables["latency"].to_pylist()
    seen = set()
    for line in percentile_chart(reading).series:
        if not line.faint:
            mine = [row for row in rows if (row["trial"], row["clock"]) == (line.entry, line.tags["clock"])]
            certified = [row["percentile"] for row in takewhile(lambda row: row["certified"], mine)]
            shown = 100 * (1 - 1 / line.x[-1])
            assert certified[-1] <= shown + 1e-9
            assert all(shown < row["percentile"] for row in mine[len(certified) : len(certified) + 1])
            seen.add(certified[-1])
    assert seen


def test_the_page_is_one_file_that_reaches_nothing(report: Any) -> None:
    text = report.page.read_text(encoding="utf-8")
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="([^"#][^"]*)"', outside) == ["data:,"]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe-eval" not in policy[1]
    assert "script-src &#39;unsafe" not in policy[1]
    assert policy[1].count("sha256-") == 3  # the ground's colour, what unpacks the rest, and the rest


def test_the_page_weighs_at_most_two_megabytes(report: Any) -> None:
    assert report.page.stat().st_size <= 2_000_000


def test_the_page_answers_in_the_order_in_which_a_reader_asks(report: Any) -> None:
    text = report.page.read_text(encoding="utf-8")
    places = [
        text.index(f'id="{name}-0"')
        for name in ("answer", "figure-tail-quality", "ranking-table", "kept", "percentiles", "stability", "where", "statistician")
    ] + [text.index(f'id="{name}"') for name in ("problems", "environment", "method", "glossary")]
    assert places == sorted(places)


def test_every_flag_is_explained_where_its_link_leads(report: Any) -> None:
    html = re.sub(r"<script.*?</script>", "", report.page.read_text(encoding="utf-8"), flags=re.DOTALL)
    led = set(re.findall(r'href="#(flag-\d+)"', html))
    assert led
    assert all(len(re.search(rf'id="{name}"><dt>.*?</dt><dd>(.*?)</dd>', html)[1]) > 20 for name in led)  # type: ignore[index]


def test_one_trial_is_compared_with_nothing(report: Any) -> None:
    group = report.results.groups[0]
    alone = replace(report.results, groups=(replace(group, trials=group.trials[:1]),))
    html = re.sub(r"<script.*?</script>", "", render(alone, report.evidence), flags=re.DOTALL)
    assert "Result within" in html
    before_the_glossary = html[: html.index('id="glossary"')].replace("ranking-table-0", "")
    for word in ("Ranking", "ranking", "Runner-up", "Differences", "data-pick=", "data-shown"):
        assert word not in before_the_glossary


def test_many_trials_are_drawn_by_model_and_none_is_left_out(report: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    models = ["one", "two", "three"]
    entries = tuple(of_model(entry, models[number % 3], f"{number}-{entry.key}") for number, entry in enumerate(reading.entries * 3))
    many = replace(reading, entries=entries, systems=entries)
    chart = curve_chart(reading)
    series = [replace(line, entry=entry.key) for entry in entries for line in chart.series if entry.key.endswith(line.entry)]
    figure = figure_of(replace(chart, series=series), many, 0)
    assert [panel.title for panel in figure.panels] == models
    assert sorted(line.entry for panel in figure.panels for line in panel.chart.series) == sorted(line.entry for line in series)
    assert len(figure_of(chart, reading, 0).panels) == 1


def of_model(entry: Entry, model: str, key: str) -> Entry:
    record = entry.data.record
    trial = record.trial.model_copy(update={"model": record.trial.model.model_copy(update={"name": model})})
    return replace(entry, data=replace(entry.data, record=record.model_copy(update={"trial": trial, "trial_id": key})))


def test_figures_at_common_thresholds_are_those_of_the_tables(report: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    rows = [
        row for row in report.results.tables["tail_quality"].to_pylist() if row["threshold_origin"] != "own" and row["metric"] == "top1"
    ]
    assert rows
    for row in rows:
        grid, curve = reading.grids[row["clock"]], reading.curves[row["clock"], row["trial"]]
        index = list(grid.ns).index(row["threshold_ns"])
        assert row["threshold"] in grid.labels[index]
        found = (curve.mean[index], curve.worst[index], curve.low[index], curve.high[index])
        assert found == pytest.approx((row["mean"], row["worst"], row["interval_low"], row["interval_high"]), abs=1e-12)


def test_flips_are_all_pairs_that_change_places(report: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    grid = reading.grids["total"]
    common = [index for index, label in enumerate(grid.labels) if label]
    means = {entry.label: reading.curves["total", entry.key].mean for entry in reading.entries}
    expected = {
        (one, other, grid.labels[before], grid.labels[after])
        for before, after in pairwise(common)
        for one in means
        for other in means
        if means[one][before] > means[other][before] + 1e-9 and means[one][after] < means[other][after] - 1e-9
    }
    assert {flip[:4] for flip in reading.flips()} == expected


def test_what_failed_stands_with_its_reason(report: Any) -> None:
    text = report.page.read_text(encoding="utf-8")
    assert "Not done: 1 failed of 5 trials" in text
    assert "offers &lt;/script&gt; no such runtime" in text
    failed = next(planned for planned in report.results.campaign.trials if planned.state == "failed")
    assert failed.trial_id in text


def test_without_evidence_its_figures_are_left_out(report: Any) -> None:
    text = render(report.results)
    assert 'data-chart="stages-0"' not in text
    assert 'data-chart="density-0"' in text


def test_a_campaign_without_a_round_has_a_page(report: Any) -> None:
    empty = {name: table.slice(0, 0) for name, table in report.results.tables.items()}
    text = render(replace(report.results, groups=(), tables=empty))
    assert "No trial has a stored round." in text


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_figures_become_real_files(report: Any, tmp_path: Path, form: str) -> None:
    written = write_figures(tmp_path, [form], ["tail-quality", "stages"], report.results, report.evidence)
    assert [path.name for path in written] == [f"tail-quality.{form}", f"stages.{form}"]
    begins = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG"}[form]
    first = written[0].read_bytes()
    assert first.startswith(begins)
    if form != "pdf":  # whose fonts are stored in whatever order
        write_figures(tmp_path / "again", [form], ["tail-quality"], report.results, report.evidence)
        assert (tmp_path / "again" / f"tail-quality.{form}").read_bytes() == first


def test_every_kind_is_drawn(report: Any) -> None:
    assert set(figures(report.results, report.evidence)) >= KINDS


def test_names_in_figures_are_text_and_no_formula(hostile_report: Any, tmp_path: Path) -> None:
    (path,) = write_figures(tmp_path, ["svg"], ["tail-quality"], hostile_report.results)
    assert "&lt;b&gt;small&lt;/b&gt;" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("formats", "only", "complaint"),
    [(["gif"], [], "--figures gif: no such format; choose some of svg,pdf,png"), (["svg"], ["nothing"], "--only nothing: no such figure")],
)
def test_unknown_formats_and_names_are_refused(report: Any, tmp_path: Path, formats: list[str], only: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        write_figures(tmp_path, formats, only, report.results)


def test_of_the_library_only_long_programs_in_strings_are_left_out() -> None:
    program = "a" * 60_000 + r"\'" + "b" * 60_000
    library = f"first(exports);m.exports='{program}';n.exports='short';k.exports=\"{program}\""
    assert without_workers(library) == f"first(exports);m.exports='';n.exports='short';k.exports=\"{program}\""
