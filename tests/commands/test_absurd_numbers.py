"""What cannot be meant is refused before anything runs, in one line and with exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("analysis.primary='1e300 ms'", "threshold 1e+300 ms: must lie between 1 ns and 292 years"),
        (f"analysis.primary='1{'0' * 300} ms'", "threshold 1e+300 ms: must lie between"),
        ("analysis.thresholds_ms=[1e300]", "analysis.thresholds_ms.0=1e+300: must be at most 9,000,000,000; write a smaller number"),
        ("analysis.thresholds_ms=[1e-300]", "analysis.thresholds_ms.0=1e-300: must be at least 1e-06; write a larger number"),
        (f"analysis.percentiles={[50] * 1001}".replace(" ", ""), "analysis.percentiles="),
        (f"analysis.thresholds_ms={[50] * 1001}".replace(" ", ""), "analysis.thresholds_ms="),
        ("system.threads=1e9", "system.threads="),
        ("system.cores=[1000000000000]", "system.cores.0=1000000000000: must be below 4,096; write a smaller number"),
        ("system.cores=1000000000000", "system.cores=1000000000000: must be at most 4,096; write a smaller number"),
        ("system.cores=[-1]", "system.cores.0=-1: must be at least 0; write a larger number"),
        ("analysis.seed=1e30", "analysis.seed=1e+30: is too far from 0 for a whole number here; write one closer to 0"),
        ("analysis.primary=p0", "primary threshold 'p0': must lie above p0 and below p100, such as p99"),
        ("system.numa=1000000000000", "system.numa="),
        ("measurement.max_rounds=1000000000000000000", "measurement.max_rounds="),
        ("measurement.warmup_rounds=1000000000000000000", "measurement.warmup_rounds="),
        ("measurement.batch=1000000000000000000", "measurement.batch="),
        ("measurement.round_timeout_s=1e300", "measurement.round_timeout_s="),
        ("measurement.max_seconds=1e300", "measurement.max_seconds="),
        ("analysis.deadline.late_share=1e-300", "analysis.deadline.late_share=1e-300: must be at least 1e-06"),
        ("task.limit=1000000000000000000", "task.limit="),
        ("analysis.seed=100000000000000000000000", "analysis.seed="),
    ],
)
def test_an_absurd_number_is_refused_in_one_line(call: Call, null_words: list[str], verb: str, word: str, message: str) -> None:
    code, _, err = call(verb, *null_words, "measurement.rule=rounds", word)
    assert code == 2, err
    told = err.removeprefix("error: ").rstrip("\n")
    assert "\n" not in told
    assert "0" * 50 not in told
    assert told.startswith(message)
    assert "more)" not in told
    assert not Path("results").exists()


def test_an_unknown_metric_of_a_task_is_told_by_the_plan(call: Call, null_words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    call("plan", *null_words)  # makes the module of the null task importable
    import null_targets

    monkeypatch.setattr(null_targets.Numbers, "metrics", ("topp1",))
    code, out, err = call("plan", *null_words)
    assert "metric 'topp1': there is none of that name; did you mean top1?" in " ".join((out + err).split())
    code, _, err = call("run", *null_words)
    assert code == 2
    assert "did you mean top1?" in err


def test_a_key_within_the_deadline_can_be_set(call: Call, null_words: list[str]) -> None:
    assert call("plan", *null_words, "analysis.deadline.late_share=0.2").code == 0
    code, _, err = call("plan", *null_words, "analysis.deadline.late_shar=0.2")
    assert code == 2
    assert "did you mean analysis.deadline.late_share?" in err
