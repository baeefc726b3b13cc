"""The paper's recorded timings, imported, give what the paper's own program was recorded to compute."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest
from paper_sets import PAPER_SETS, columns, expected, needs_paper_sets

from orchestrator.configuration.analysis import AnalysisConfig

PERCENTS = (90, 95, 99)
"""Not 99.9: of 2,000 records numpy takes the 1999th, since 0.999 x 2,000 is more than 1,998 in floating point."""


def all_times(name: str) -> dict[str, list[dict[int, float]]]:
    """``All_Times.pickle`` as the program holds it: runs of {batch from 1: seconds}."""
    rows = columns(f"timings_{name}.csv.gz")
    found: dict[str, list[dict[int, float]]] = {"inference": [], "total": []}
    for number in np.unique(rows[:, 0]):
        of_round = rows[rows[:, 0] == number]
        found["inference"].append({int(row[2]) + 1: float(row[4] / 1e9) for row in of_round})
        found["total"].append({int(row[2]) + 1: float(row[3:6].sum() / 1e9) for row in of_round})
    return found


@needs_paper_sets
@pytest.mark.parametrize(("name", "protocol"), [("a", 0), ("b", 5)])
def test_its_pickle_gives_its_percentiles(name: str, protocol: int, tmp_path, imported) -> None:
    path = tmp_path / "All_Times.pickle"
    path.write_bytes(pickle.dumps(all_times(name), protocol=protocol))
    found = imported(path, "--format", "paper")
    for clock in ("inference", "total"):
        recorded = expected(name)["tail_latency"][clock]
        assert [found.percentile(percent, clock) for percent in PERCENTS] == [round(recorded[f"p{percent}"] * 1e9) for percent in PERCENTS]
    assert found.campaign.matrix(found.only().trial_id).times["total"].shape == ((100, 20) if name == "a" else (30, 4))


@needs_paper_sets
@pytest.mark.parametrize("form", ["csv.gz", "parquet", "jsonl"])
def test_its_table_with_scores_gives_its_tail_quality(form: str, tmp_path, imported) -> None:
    answers = columns("predictions_a.csv.gz")
    table = pc_csv.read_csv(PAPER_SETS / "timings_a.csv.gz")
    sample = table.column("sample").to_numpy()
    for metric, ranks in (("top1", 1), ("top5", 5)):
        right = (answers[:, 2 : 2 + ranks] == answers[:, [1]]).any(axis=1)
        table = table.append_column(f"score_{metric}", pa.array(right[sample].astype(float)))
    path = tmp_path / f"times.{form}"
    if form == "parquet":
        pq.write_table(table, path)
    elif form == "jsonl":
        path.write_text("".join(f"{row}\n" for row in map(json.dumps, table.to_pylist())))
    else:
        with pa.CompressedOutputStream(path, "gzip") as file:
            pc_csv.write_csv(table, file)
    found = imported(path, "--format", "table", analysis=AnalysisConfig(percentiles=PERCENTS))
    for clock in ("inference", "total"):
        for percent in PERCENTS:
            recorded = expected("a")["tail_quality"][clock][f"p{percent:g}"]
            for metric in ("top1", "top5"):
                (row,) = found.rows(
                    "tail_quality", clock=clock, threshold=f"p{percent:g}", threshold_origin="reference", metric=metric, first_round=0
                )
                assert row["threshold_ns"] == round(recorded["threshold"] * 1e9)
                assert [row["mean"], row["worst"]] == pytest.approx([recorded[metric]["mean"], recorded[metric]["min"]], abs=1e-12)
                assert row["rounds"] == 100
