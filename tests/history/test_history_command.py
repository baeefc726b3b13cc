import shutil
import tempfile
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from program import orchestrator
from refusals import refused
from reported_campaign import reported
from small_campaign import read_document, reseal_json
from stranger import as_stranger, needs_root

from benchmarks.many_campaigns import many_campaigns
from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.commands.history import read_campaigns
from orchestrator.contracts import Code
from orchestrator.history.series import shared_thresholds
from orchestrator.history.stored import find_campaigns, read_stored
from orchestrator.storage.files import write_parquet
from orchestrator.storage.reader import open_campaign

DAYS, CHANGED = 40, 20


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reported campaign that others are made like."""
    return reported(tmp_path_factory.mktemp("source") / "campaign")


@pytest.fixture(scope="module")
def campaigns(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 campaigns, of which the last 20 keep less and have other code."""
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
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    changes = pq.read_table(campaigns / "change_points.parquet").to_pylist()
    assert [(row["figure"], str(row["first_after"].date())) for row in changes] == [("tail quality", "2026-03-21")] * 2
    for row in changes:
        assert row["level_before"] - row["level_after"] == pytest.approx(0.06, abs=0.003)
        assert 0.003 < row["noise"] < 0.005
    rows = pq.read_table(campaigns / "history.parquet").to_pylist()
    assert len(rows) == 2 * DAYS
    assert sum(row["change"] for row in rows) == 2
    assert {row["code"] for row in rows} == {"1.0 aa", "1.0 bb"}
    assert all(row["interval_low"] < row["mean"] < row["interval_high"] for row in rows)
    assert all(row["deadline_ns"] > 0 and row["process_low"] is None for row in rows)
    page = (campaigns / "history.html").read_text()
    assert page.count('class="scroll picture"') == 2
    assert "<script" not in page
    assert "default-src 'none'" in unescape(page)


def test_a_copied_campaign_is_one_campaign_whatever_its_record_says(source: Path, tmp_path: Path) -> None:
    """One copy says that it was begun on another day, and its times are those of the first."""
    first = Path(shutil.copytree(source, tmp_path / "a"))
    for name, changed in (("backup", {}), ("invented", {"created_at": "2026-12-24T12:00:00Z"})):
        shutil.copytree(first, tmp_path / name)
        campaign = read_document(first / "campaign.json")
        reseal_json(tmp_path / name / "campaign.json", campaign | changed)
    kept, said = read_campaigns(tmp_path, None)
    assert [one.directory.name for one in kept] == ["a"]
    assert len(said) == 2


def test_codes_are_points_too(campaigns: Path) -> None:
    assert orchestrator("history", campaigns, "--by", "code", cwd=campaigns).returncode == 0
    rows = pq.read_table(campaigns / "history.parquet").to_pylist()
    assert [(row["code"], row["campaigns"]) for row in rows] == [("1.0 aa", CHANGED), ("1.0 bb", DAYS - CHANGED)] * 2
    assert all(row["process_low"] < row["mean"] < row["process_high"] for row in rows)


def test_a_threshold_that_no_table_has_is_read_from_the_times(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "a")
    assert orchestrator("history", ".", "--threshold", "13 ms", cwd=tmp_path).returncode == 0
    mine = {row["match_key"]: row["mean"] for row in pq.read_table(tmp_path / "history.parquet").to_pylist()}
    campaign = open_campaign(source)
    wanted = campaign.record.config.analysis.model_copy(update={"thresholds_ms": (13.0,)})
    asked = {"threshold": "13 ms", "clock": "total", "slice": "all", "metric": "top1"}
    rows = [row for row in analyse(campaign, wanted).tables["tail_quality"].to_pylist() if asked.items() <= row.items()]
    assert mine == pytest.approx({row["match_key"]: row["mean"] for row in rows if row["match_key"] in mine})
    assert mine


@pytest.mark.slow
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
    kept, said = read_campaigns(tmp_path, None)
    assert [one.directory for one in kept] == [made[0], made[3]]
    assert len(said) == 2
    for directory, code in ((made[1], "not_found"), (made[2], "in_use")):
        with refused(code):  # type: ignore[arg-type]
            read_stored(directory)


def test_a_damaged_campaign_that_may_be_a_copy_is_named_and_left_out(source: Path, tmp_path: Path) -> None:
    """Two folders of one campaign: of the one whose answers are gone nobody can say whether it is a copy."""
    for name in ("a", "b"):
        shutil.copytree(source, tmp_path / name)
    for path in (tmp_path / "b").glob("trials/*/predictions.parquet"):
        path.unlink()
    kept, said = read_campaigns(tmp_path, None)
    assert [one.directory.name for one in kept] == ["a"]
    assert len(said) == 1


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


def test_a_folder_of_none_of_one_or_of_several_sweeps_is_refused(source: Path, tmp_path: Path) -> None:
    many_campaigns(tmp_path / "one", source, [0.0])
    (other,) = many_campaigns(tmp_path / "two", source, [0.0])
    reseal_json(other / "campaign.json", read_document(other / "campaign.json") | {"name": "large"})
    (tmp_path / "none").mkdir()
    wrong: list[tuple[Path, str | None, Code]] = [
        (source, None, "invalid"), (tmp_path / "none", None, "no_data"), (tmp_path / "missing", None, "not_found"),
        (tmp_path, None, "missing"), (tmp_path, "medium", "no_data"),
    ]  # fmt: skip
    for folder, sweep, code in wrong:
        with refused(code):
            read_campaigns(folder, sweep)
    assert [one.head.name for one in read_campaigns(tmp_path, "large")[0]] == ["large"]
    for threshold in ("p95", "soon"):
        with refused("invalid"):
            shared_thresholds(read_campaigns(tmp_path, "large")[0], threshold)
