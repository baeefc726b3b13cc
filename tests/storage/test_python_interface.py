import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sample_tables import NewRound, samples_of

import orchestrator
from orchestrator.storage.files import write_parquet
from orchestrator.storage.records import Stopping, TrialRecord
from orchestrator.storage.writer import CampaignWriter

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tables.md"
THRESHOLD_NS = 6_006_006
SCORES = [1.0, 0.5, 1.0, 0.0]


@pytest.fixture
def measured(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> Path:
    """Return a campaign of one finished trial: 12 rounds of 4 samples, some of them late, one without a time."""
    trial = campaign.trial(trial_id)
    for number in range(12):
        trial.append(*new_round(number, 4, ["ok", "ok", "error" if number == 3 else "ok", "ok"]))
    trial.write_samples(samples_of(4, score_top1=SCORES))
    trial.finish()
    record = TrialRecord.from_plan(campaign.record.planned(trial_id))
    stopping = Stopping(rule="rounds", reason="12 rounds")
    trial.write_record(record.model_copy(update={"stopping": stopping, "flags": ("unpinned",)}))
    campaign.set_state(trial_id, "done")
    return campaign.directory


@pytest.mark.parametrize(("times", "first_round"), [("total", 10), ("inference", 0)])
def test_the_script_in_the_documentation_recomputes_a_figure(
    measured: Path,
    trial_id: str,
    times: str,
    first_round: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    threshold = THRESHOLD_NS if times == "total" else THRESHOLD_NS // 2
    timings = orchestrator.open(measured).timings(trial_id).to_pylist()
    quality = np.zeros(12)
    for row in timings:
        if row["outcome"] == "ok":
            stages = [row["preprocess_ns"], row["inference_ns"], row["postprocess_ns"]]
            on_time = (sum(stages) if times == "total" else stages[1]) <= threshold
            quality[row["round"]] += SCORES[row["sample"]] * on_time / 4
    kept = quality[first_round:]
    assert len(set(quality)) > 2
    figure = {
        "trial": trial_id, "slice": "all", "metric": "top1", "clock": times, "threshold": "6 ms", "threshold_ns": threshold,
        "first_round": first_round, "mean": float(kept.mean()), "worst": float(kept.min()),
    }  # fmt: skip
    write_parquet(measured / "tail_quality.parquet", pa.Table.from_pylist([figure]))

    script = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert script is not None
    monkeypatch.setattr(sys, "argv", ["recompute.py", str(measured)])
    exec(compile(script[1], "recompute.py", "exec"), {"__name__": "__main__"})
    output = capsys.readouterr().out
    told = re.fullmatch(r"6 ms mean (\S+) stored (\S+) worst (\S+) stored (\S+)\n", output)
    assert told is not None, output
    mean, stored_mean, worst, stored_worst = map(float, told.groups())
    assert mean == pytest.approx(stored_mean, abs=1e-12)
    assert worst == pytest.approx(stored_worst, abs=1e-12)
