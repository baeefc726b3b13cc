from __future__ import annotations

import shutil
import tempfile
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from program import orchestrator
from reported_campaign import reported
from small_campaign import read_document, reseal_json
from stranger import as_stranger, needs_root

from benchmarks.many_campaigns import many_campaigns
from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.commands.history import _left_out, read_campaigns
from orchestrator.history import tables
from orchestrator.history.stored import find_campaigns, read_stored
from orchestrator.history.tables import course_of, title_of
from orchestrator.storage.files import write_parquet
from orchestrator.storage.reader import Campaign, open_campaign

DAYS, CHANGED = 80, 50


@pytest.fixture(scope="module")
def campaigns(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 campaigns, of which the last 30 keep less and have other code."""
    folder, random = tmp_path_factory.mktemp("campaigns"), np.random.default_rng(3)
    late = np.arange(DAYS) >= CHANGED
    qualities = random.normal(0, 0.004, DAYS) - 0.06 * late
    many_campaigns(folder, source, list(qualities), list(np.exp(random.normal(0, 0.02, DAYS))), ["bb" if one else "aa" for one in late])
    (folder / "latest").symlink_to(sorted(folder.iterdir())[-1])
    return folder


def test_a_change_is_told_with_what_else_differs_in_80_columns(campaigns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = orchestrator("history", ".", cwd=campaigns)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "History of small: 80 campaigns, 2026-03-01 to 2026-05-19"
    assert "2 change points in 2 of 4 series of figures." in lines
    assert "2026-04-20 12:30" in done.stdout
    assert "code 1.0 aa -> 1.0 bb" in done.stdout
    changes = pq.read_table(campaigns / "change_points.parquet").to_pylist()
    assert [(row["figure"], str(row["first_after"].date())) for row in changes] == [("tail quality", "2026-04-20")] * 2
    for row in changes:
        assert row["level_before"] - row["level_after"] == pytest.approx(0.06, abs=0.003)
        assert 0.003 < row["noise"] < 0.005
    rows = pq.read_table(campaigns / "history.parquet").to_pylist()
    assert len(rows) == 2 * DAYS
    assert sum(row["change"] for row in rows) == 2
    assert {row["code"] for row in rows} == {"1.0 aa", "1.0 bb"}
    assert all(row["interval_low"] < row["mean"] < row["interval_high"] for row in rows)
    assert all(row["deadline_ns"] > 0 and row["process_low"] is None for row in rows)


def test_two_systems_that_change_at_once_open_their_campaigns_once(
    campaigns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counted(directory: Path) -> Campaign:
        opened.append(directory)
        return open_campaign(directory)

    monkeypatch.setattr(tables, "open_campaign", counted)
    assert orchestrator("history", campaigns, "--to", tmp_path, cwd=campaigns).returncode == 0
    assert [path.name[:10] for path in opened] == ["2026-04-19"]  # it has no trials, so that nothing is asked of the next one


def test_a_copied_campaign_is_one_campaign_whatever_its_record_says(tmp_path: Path) -> None:
    """One copy says that it was begun on another day, and its times are those of the first."""
    first = reported(tmp_path / "a")
    for name, changed in (("backup", {}), ("invented", {"created_at": "2026-12-24T12:00:00Z"})):
        shutil.copytree(first, tmp_path / name)
        campaign = read_document(first / "campaign.json")
        reseal_json(tmp_path / name / "campaign.json", campaign | changed)
    done = orchestrator("history", ".", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("backup", "invented"):
        assert f"Left out: 2 trials of {name} have the times of trials of a: they are copies and count once" in " ".join(
            done.stdout.split()
        )
    assert {row["campaign"] for row in pq.read_table(tmp_path / "history.parquet").to_pylist()} == {"a"}


def test_the_page_draws_each_series_and_runs_nothing(campaigns: Path) -> None:
    assert orchestrator("history", campaigns, "--to", "page", cwd=campaigns).returncode == 0
    page = (campaigns / "page" / "history.html").read_text()
    assert page.count('class="scroll picture"') == 2
    assert "<script" not in page
    assert "default-src 'none'" in unescape(page)
    shutil.rmtree(campaigns / "page")


def test_codes_are_points_too(campaigns: Path) -> None:
    done = orchestrator("history", campaigns, "--by", "code", cwd=campaigns)
    assert done.returncode == 0
    assert "These are too few for any" in done.stdout
    rows = pq.read_table(campaigns / "history.parquet").to_pylist()
    assert [(row["code"], row["campaigns"]) for row in rows] == [("1.0 aa", CHANGED), ("1.0 bb", DAYS - CHANGED)] * 2
    assert all(row["process_low"] < row["mean"] < row["process_high"] for row in rows)


def test_a_threshold_that_no_table_has_is_read_from_the_times(tmp_path: Path) -> None:
    first, second = (reported(tmp_path / name, day) for name, day in (("a", 1), ("b", 2)))
    done = orchestrator("history", ".", "--threshold", "13 ms", cwd=tmp_path)
    assert done.returncode == 0
    assert "within 13 ms" in done.stdout
    rows = pq.read_table(tmp_path / "history.parquet").to_pylist()
    for directory in (first, second):
        campaign = open_campaign(directory)
        wanted = campaign.record.config.analysis.model_copy(update={"thresholds_ms": (13.0,)})
        of_trial = {
            row["match_key"]: row["mean"]
            for row in analyse(campaign, wanted).tables["tail_quality"].to_pylist()
            if row["threshold"] == "13 ms" and row["clock"] == "total" and row["slice"] == "all" and row["metric"] == "top1"
        }
        mine = {row["match_key"]: row["mean"] for row in rows if row["campaign"] == directory.name}
        assert mine == pytest.approx({key: of_trial[key] for key in mine})
        assert mine


def test_repeats_are_processes_of_one_point(tmp_path: Path) -> None:
    reported(tmp_path / "a", repeat=2)
    assert orchestrator("history", ".", cwd=tmp_path).returncode == 0
    rows = pq.read_table(tmp_path / "history.parquet").to_pylist()
    assert rows
    for row in rows:
        assert row["processes"] == 2
        assert row["process_low"] <= row["mean"] <= row["process_high"]


def test_campaigns_that_cannot_be_read_are_named_and_left_out(source: Path, tmp_path: Path) -> None:
    made = many_campaigns(tmp_path, source, [0.0] * 4)
    (made[1] / "tail_quality.parquet").unlink()
    reseal_json(made[2] / "campaign.json", read_document(made[2] / "campaign.json") | {"under_way": True})
    done = orchestrator("history", ".", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("History of small: 2 campaigns")
    assert (
        f"Left out: {made[1].name}/tail_quality.parquet is missing: write it with `python -m orchestrator report {made[1].name}`"
        in " ".join(done.stdout.split())
    )
    assert f"Left out: {made[2].name} is being measured, or was interrupted" in done.stdout


def test_of_many_that_are_left_out_the_first_are_explained_and_the_others_named() -> None:
    said = _left_out([(Path(f"c{number}"), f"c{number} is gone") for number in range(5)])
    assert said == ["Left out: c0 is gone", "Left out: c1 is gone", "Left out: c2 is gone", "Left out, too: c3, c4"]
    assert _left_out([(Path(f"c{number}"), "") for number in range(30)])[-1].endswith("c22 and 7 more")


def test_a_damaged_campaign_that_may_be_a_copy_is_named_and_left_out(source: Path, tmp_path: Path) -> None:
    """Two folders of one campaign: of the one whose answers are gone nobody can say whether it is a copy."""
    for name in ("a", "b"):
        shutil.copytree(source, tmp_path / name)
    for path in (tmp_path / "b").glob("trials/*/predictions.parquet"):
        path.unlink()
    kept, said = read_campaigns(tmp_path, None)
    assert [one.directory.name for one in kept] == ["a"]
    assert len(said) == 1
    assert said[0].startswith("Left out: ")
    assert "predictions.parquet" in said[0]
    assert title_of(kept).startswith("History of small: 1 campaign, ")


def test_deadlines_of_too_few_rounds_were_certified_by_other_code(source: Path, tmp_path: Path) -> None:
    (made,) = many_campaigns(tmp_path, source, [0.0])
    [before], none = read_campaigns(tmp_path, None)
    assert not none
    assert all(before.deadlines.values())
    table = pq.read_table(made / "deadline.parquet")
    few = table.set_column(table.schema.get_field_index("rounds"), table.schema.field("rounds"), pa.array([34] * len(table), pa.int32()))
    write_parquet(made / "deadline.parquet", few)
    [after], said = read_campaigns(tmp_path, None)
    assert not any(after.deadlines.values())
    assert "which this version does not certify: write the tables again with `python -m orchestrator report " in said[0]
    document = read_document(made / "campaign.json")
    for planned in document["trials"]:
        del planned["trial"]["measurement"]["certify_rounds"]  # there was no such key once
    reseal_json(made / "campaign.json", document)
    assert read_campaigns(tmp_path, None)[1] == said


@pytest.mark.slow
@needs_root
def test_what_another_user_may_not_enter_hides_no_other_campaign() -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        results.chmod(0o755)
        (results / "theirs").mkdir(0o700)
        (results / "theirs" / "campaign.json").write_text("{}")
        (results / "listed" / "deeper").mkdir(parents=True)
        (results / "listed").chmod(0o711)
        found = as_stranger(lambda: " ".join(path.name for path in find_campaigns(results)))
        assert found == "listed theirs"
        assert "theirs/campaign.json cannot be read (Permission denied)" in as_stranger(lambda: read_stored(results / "theirs"))


def test_mistakes_are_told_in_one_line(source: Path, tmp_path: Path) -> None:
    many_campaigns(tmp_path / "one", source, [0.0])
    (other,) = many_campaigns(tmp_path / "two", source, [0.0])
    reseal_json(other / "campaign.json", read_document(other / "campaign.json") | {"name": "large"})
    (tmp_path / "none").mkdir()
    for words, told in (
        ([source], f"{source} is one campaign: name the folder that holds it and others"),
        (["none"], "none holds no campaign that can be read: name a folder such as results/vision"),
        (["missing"], "missing is no folder"),
        (["."], ". holds campaigns of large, small, and a history is of one: add --sweep "),
        ([".", "--sweep", "medium"], ". holds no campaign of medium that can be read (there are those of large, small)"),
        (["one", "--threshold", "p95"], "--threshold p95: a percentile is another time in every campaign"),
        (["one", "--threshold", "soon"], "primary threshold 'soon'"),
        (["one", "--to", source / "history"], "lies within the campaign"),
    ):
        done = orchestrator("history", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.startswith("error: ")
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert orchestrator("history", ".", "--sweep", "large", cwd=tmp_path).returncode == 0


def test_the_course_of_a_series_in_letters() -> None:
    assert course_of([0.0, 1.0]) == "▁█"
    assert course_of([0.5] * 40) == "▄" * 16
