import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from program import Call


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    return shutil.copytree(Path(__file__).parents[1] / "data" / "before_the_house" / "campaign", tmp_path / "campaign")


def test_tables_fit_80_columns_and_rows_and_a_picture_are_written(campaign: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = call("replay", "campaign", "--rate", "20,50,100", "--deadline", "20 ms")
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines()[:-1])
    rows = pq.read_table(campaign / "replay.parquet").to_pylist()
    assert [row["rate_per_s"] for row in rows] == [20, 50, 100] * 2
    assert all(f"{row['mean']:.3f}" in out for row in rows)
    assert all(f">{row['mean']:.3f} " in (campaign / "replay.svg").read_text() for row in rows if row["rate_per_s"] == 100)
    assert call("replay", "campaign", "--rate", "20", "--to", "out")[0] == 0
    assert [path.name for path in Path("out").iterdir()] == ["replay.parquet"]
    assert call("replay", "campaign", "--rate", "20")[0] == 0
    assert not (campaign / "replay.svg").exists()
    assert call("report", "campaign")[0] == 0


def test_one_trial_with_a_fallback_and_a_trace(campaign: Path, call: Call) -> None:
    Path("trace.csv").write_text("0\n0.1\n0.15\n0.4\n")
    words = ("--load", "trace", "--trace", "trace.csv", "--policy", "newest", "--late-in", "2/5", "--error-after", "50 ms", "--seed", "4")
    code, out, err = call("replay", "campaign", "null-numbers-cpu_all", "--fallback", "null-numbers-cpu_1", *words)
    assert (code, err) == (2, "error: " + err.removeprefix("error: "))
    assert "begins 2 trials" in err
    code, out, err = call("replay", "campaign", "f7052b36-r0", "--fallback", "null-numbers-cpu_1", *words)
    assert (code, err) == (0, "")
    (row,) = pq.read_table(campaign / "replay.parquet").to_pylist()
    assert row["rate_per_s"] == pytest.approx(7.5)
    assert row["fallback_mean"] >= row["mean"]
    assert "with fallback" in out
