import json
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from refusals import refused
from small_campaign import contents
from visions import Campaigns, plan_trial

from orchestrator.commands import line
from orchestrator.contracts import InputError
from orchestrator.storage.files import write_json
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow

short = partial(plan_trial, rounds=8)


def report(*directories: Path, into: Path | None = None, overrides: tuple[str, ...] = ()) -> int:
    folder = [] if into is None else ["--into", str(into)]
    return line.run(["report", *map(str, directories), *overrides, *folder])


def test_one_table_holds_the_trials_of_both_days(campaigns: Campaigns, tmp_path: Path) -> None:
    monday, friday = campaigns("monday", [plan_trial([3])]), campaigns("friday", [plan_trial([3])], day=5, seed=1)
    before = contents(monday), contents(friday)
    assert report(monday, friday, into=tmp_path / "both", overrides=('analysis.primary="20 ms"',)) == 0
    assert (contents(monday), contents(friday)) == before

    written = contents(tmp_path / "both")
    assert set(written) == {
        "report.html", "report.md", "report.svg", "tail_quality.parquet", "latency.parquet", "prediction.parquet",
        "convergence.parquet", "deadline.parquet", "comparison.parquet", "explain.parquet", "resources.parquet", "outcomes.parquet", "goodput.parquet",
    }  # fmt: skip
    text = (tmp_path / "both" / "report.md").read_text("utf-8")
    table = text[text.index("## Tail quality of numbers (top1) at absolute") :].split("\n\n")[1]
    systems = [line.split(" | ")[1] for line in table.splitlines()[2:]]
    assert systems == ["cpu_all @ 2026-03-01 12:30", "cpu_all @ 2026-03-05 12:30"]
    page = (tmp_path / "both" / "report.html").read_text("utf-8")
    assert page.count("<td>2026-03-05 12:30</td>") == 1  # the table of campaigns

    quality = pq.read_table(tmp_path / "both" / "tail_quality.parquet").to_pylist()
    assert {row["campaign"] for row in quality} == {"2026-03-01 12:30", "2026-03-05 12:30"}
    assert {(row["system"], row["task"], len({r["trial"] for r in quality})) for row in quality} == {("cpu_all", "numbers", 2)}
    assert len({row["match_key"] for row in quality}) == 1
    common = {row["threshold_ns"] for row in quality if row["threshold_origin"] == "absolute"}
    for trial in {row["trial"] for row in quality}:
        assert {row["threshold_ns"] for row in quality if row["trial"] == trial and row["threshold_origin"] == "absolute"} == common


def test_figures_are_those_of_each_campaign_alone(campaigns: Campaigns, tmp_path: Path) -> None:
    monday, friday = campaigns("monday", [short([3])]), campaigns("friday", [short([3, 7])], day=5, seed=1)
    report(monday, friday, into=tmp_path / "both", overrides=("analysis.thresholds_ms=[14]",))
    both = figures(tmp_path / "both")
    for directory in (monday, friday):
        report(directory, overrides=("analysis.thresholds_ms=[14]",))
        alone = figures(directory)
        assert len(alone) == 2
        assert all(both[key] == value for key, value in alone.items())


def figures(directory: Path) -> dict[object, object]:
    rows = pq.read_table(directory / "tail_quality.parquet").to_pylist()
    chosen = [row for row in rows if row["threshold"] == "14 ms" and row["metric"] == "top1"]
    return {(row["match_key"], row["clock"]): [row[name] for name in ("ideal", "mean", "worst", "sd", "rounds")] for row in chosen}


def test_campaigns_of_other_data_share_no_table_and_the_report_says_so(campaigns: Campaigns, tmp_path: Path) -> None:
    monday, friday = campaigns("monday", [short([3])]), campaigns("friday", [short([3], count=10)], day=5)
    report(monday, friday, into=tmp_path / "both")
    text = (tmp_path / "both" / "report.md").read_text("utf-8")
    tables = [part.split("\n\n") for part in text.split("## ")[1:]]
    across = [part for part in tables if part[0].startswith("Tail quality of numbers (data ")]
    assert len(across) >= 4
    for part in across:
        assert ("@ 2026-03-01" in part[1]) != ("@ 2026-03-05" in part[1])
    assert not (tmp_path / "both" / "comparison.parquet").exists(), "a table without rows is not written"
    assert set(pq.read_table(tmp_path / "both" / "tail_quality.parquet").column("task").to_pylist()) == {"numbers"}


def test_the_same_trial_of_another_day_is_no_repeat(campaigns: Campaigns, tmp_path: Path) -> None:
    trials = [short([3], repeat=number) for number in range(3)]
    monday, friday = campaigns("monday", trials), campaigns("friday", trials, day=5, seed=1)
    report(monday, friday, into=tmp_path / "both")
    rows = pq.read_table(tmp_path / "both" / "comparison.parquet").to_pylist()
    verdicts = [row for row in rows if row["scope"] == "fresh processes"]
    assert len(verdicts) == 1
    assert dict(verdicts[0]["parameters"])["units"] == 3, "their clock begins anew, so that both seem to take turns"
    assert verdicts[0]["campaign"] not in verdicts[0]["baseline"]


def test_places_that_hold_something_else_are_refused(campaigns: Campaigns, tmp_path: Path) -> None:
    monday = campaigns("monday", [short([3])])
    other = tmp_path / "link"
    other.symlink_to(monday)
    with refused("exists", "--into"):
        report(tmp_path, monday, into=other / "trials" / "new")
    for wrong in ((monday, other), (monday,)):
        with pytest.raises(InputError):
            report(*wrong, into=tmp_path / "x")
    assert not (monday / "trials" / "new").exists()


def change_record(directory: Path, **fields: object) -> None:
    for planned in open_campaign(directory).record.trials:
        path = directory / "trials" / planned.trial_id / "trial.json"
        document = json.loads(path.read_text("utf-8"))
        del document[next(key for key in reversed(document))]
        write_json(path, document | fields)


def test_markup_in_a_strangers_files_stays_text(campaigns: Campaigns, tmp_path: Path) -> None:
    monday, friday = campaigns("monday", [short([3])]), campaigns("friday", [short([3])], day=5, name="a|b<script>\n# x")
    change_record(friday, digests={"data": "<img src=x>"})
    report(monday, friday, into=tmp_path / "both")
    text = (tmp_path / "both" / "report.md").read_text("utf-8")
    assert "<script>" not in text
    assert "<img" not in text
    assert "\n# x" not in text


def test_other_samples_or_metrics_under_one_digest_are_refused(campaigns: Campaigns, tmp_path: Path) -> None:
    monday, friday = campaigns("monday", [short([3])]), campaigns("friday", [short([3], count=10)], day=5)
    change_record(monday, digests={"data": "d"})
    change_record(friday, digests={"data": "d"})
    with pytest.raises(InputError):
        report(monday, friday, into=tmp_path / "both")
    saturday = campaigns("saturday", [short([3])], day=6)
    change_record(saturday, digests={"data": "d"}, metrics=["top5"])
    with pytest.raises(InputError):
        report(monday, saturday, into=tmp_path / "both")
