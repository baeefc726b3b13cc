"""Trials under load, measured for real: streams, their clock, their tables; and closed loops beside them, as ever."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import null_trials
import numpy as np
import pyarrow.parquet as pq
import pytest
from null_trials import null_document, planned

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.load import OVERLOADED
from orchestrator.analysis.units import FEW_STREAMS, whole_streams
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.html.page import render
from orchestrator.report.markdown import to_report
from orchestrator.running.inline import InlineSession
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import Campaign

pytestmark = pytest.mark.slow

SAMPLES, ROUNDS = 10, 12
POISSON = {"name": "poisson", "rate_per_s": 100, "stream_s": 0.25, "ramp_s": 0.05}


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path) -> Callable[..., Campaign]:
    """Measure a trial for each load into a new folder, with a model that sleeps so many ms."""

    def run(
        *loads: dict[str, Any] | None,
        sleep_ms: float = 1,
        raises_on: tuple[int, ...] = (),
        stop: threading.Event | None = None,
        **measurement: Any,
    ) -> Campaign:
        documents = [
            null_document(
                model={"sleep_ms": sleep_ms, "wrong": [1], "raises_on": list(raises_on)},
                task={"count": SAMPLES},
                measurement={"min_rounds": ROUNDS, "max_rounds": ROUNDS, "max_errors": 9, **measurement},
                **({} if load is None else {"load": load}),
            )
            for load in loads
        ]
        return null_trials.measure(tmp_path / "results", planned(*documents), stop)

    return run


def analysed(campaign: Campaign, **analysis: Any) -> CampaignAnalysis:
    return analyse(campaign, AnalysisConfig(**analysis))


def test_streams_are_stored_with_their_schedule(measure: Callable[..., Campaign]) -> None:
    campaign = measure(POISSON)
    (record,) = campaign.trials()
    assert record.state == "done"
    rounds, timings, ramp = campaign.rounds(record.trial_id), campaign.timings(record.trial_id), campaign.ramp(record.trial_id)
    assert rounds.column("stream").to_pylist() == [stream for stream in range(6) for _ in range(2)]
    assert rounds.column("visit").to_pylist() == rounds.column("stream").to_pylist()
    assert len(set(rounds.column("stream_started_monotonic_ns").to_pylist())) == 6
    assert timings.num_rows == ROUNDS * SAMPLES
    assert set(timings.column("outcome").to_pylist()) == {"ok"}
    assert set(timings.column("ramp").to_pylist()) == {False}
    assert min(timings.column("queue_ns").to_pylist()) >= 0
    assert ramp.num_rows == 6 * 5
    assert set(ramp.column("round").to_pylist()) == {-1}
    matrix = campaign.matrix(record.trial_id)
    waits = matrix.times[Clock.RESPONSE] - matrix.times[Clock.TOTAL]
    assert (np.sort(waits.ravel()) == np.sort(timings.column("queue_ns").to_numpy())).all()


def test_the_response_clock_stands_in_every_table_and_first(measure: Callable[..., Campaign]) -> None:
    results = analysed(measure(POISSON), thresholds_ms=(40,))
    (group,) = results.groups
    assert group.clocks == ("response", "total", "inference")
    for name in ("tail_quality", "latency", "deadline"):
        assert set(results.tables[name].column("clock").to_pylist()) == {"response", "total", "inference"}
    (row,) = results.tables["load"].to_pylist()
    assert (row["load"], row["streams"], row["rounds"], row["arrivals"]) == ("poisson 100/s", 6, 12, 120)
    assert row["dropped_share"] == 0
    assert 0 < row["utilisation"] < 1
    assert FEW_STREAMS in row["flags"]
    assert not any(row["certified"] for row in results.tables["deadline"].to_pylist())
    assert "Schedules of numbers under poisson 100/s" in to_report(results)
    assert "<option>response</option><option>total</option>" in render(results)


@pytest.mark.parametrize("load", [None, POISSON], ids=["closed", "load"])
def test_goodput_is_that_of_the_stored_files(measure: Callable[..., Campaign], load: dict[str, Any] | None) -> None:
    """Of ten answers one is wrong, and one fails: both are requests all the same."""
    campaign = measure(load, raises_on=(3,), max_errors=99)
    trial = campaign.directory / "trials" / campaign.trials()[0].trial_id
    timings, rounds, samples = (pq.read_table(trial / name) for name in ("timings", "rounds", "predictions.parquet"))
    stages = ["preprocess_ns", "inference_ns", "postprocess_ns", *(["queue_ns"] if load else [])]
    times = np.sum([timings[name].to_numpy() for name in stages], axis=0)  # not a number where one failed
    right = samples["score_top1"].to_numpy()[timings["sample"].to_numpy()] == 1
    span_s, requests, median = rounds["duration_ns"].to_numpy().sum() / 1e9, timings.num_rows, float(np.nanmedian(times)) // 1
    if load:
        streams = rounds["stream"].to_numpy()[timings["round"].to_numpy()]
        arrivals = [timings["arrival_ns"].to_numpy()[streams == stream] for stream in np.unique(streams)]
        span_s, requests = sum(np.ptp(one) for one in arrivals) / 1e9, sum(one.size - 1 for one in arrivals)
    [row] = [row for row in analysed(campaign, thresholds_ms=(median / 1e6,)).rows("goodput") if row["threshold_ns"] == median]
    assert row["on_time_per_s"] == pytest.approx(requests / span_s * (times <= median).mean())
    assert row["right_per_s"] == pytest.approx(requests / span_s * ((times <= median) & right).mean())


def test_what_waits_too_long_ends_the_stream_and_is_no_failure(measure: Callable[..., Campaign]) -> None:
    campaign = measure(POISSON | {"rate_per_s": 1000, "stream_s": 2, "ramp_s": 0, "max_backlog_s": 0.05}, sleep_ms=5)
    (record,) = campaign.trials()
    assert record.state == "done"
    outcomes = campaign.timings(record.trial_id).column("outcome").to_pylist()
    assert set(outcomes) == {"ok", "dropped"}
    assert all(campaign.rounds(record.trial_id).column("overloaded").to_pylist())
    results = analysed(campaign, thresholds_ms=(1000,))
    (row,) = results.tables["load"].to_pylist()
    assert OVERLOADED in row["flags"]
    assert row["utilisation"] > 1


def test_a_stream_that_a_fault_cut_is_no_unit_of_its_own() -> None:
    streams = np.array([0, 0, 1, 1, 2, 5, 5], dtype=np.int32)

    def units(*incomplete: int) -> list[int]:
        return whole_streams(streams, np.isin(np.arange(streams.size), incomplete)).tolist()

    assert units() == streams.tolist()
    assert units(3) == [0, 0, 0, 0, 2, 5, 5]
    assert units(0) == [1, 1, 1, 1, 2, 5, 5]
    assert units(2, 4) == [0, 0, 0, 0, 0, 5, 5]
    assert units(0, 2, 4, 6) == streams.tolist()


def test_a_stop_ends_a_stream_after_its_round(measure: Callable[..., Campaign], monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    ask = InlineSession.run_stream

    def soon_stopped(session: InlineSession, first: int, visit: int) -> Any:
        threading.Timer(2.0, stop.set).start()
        return ask(session, first, visit)

    monkeypatch.setattr(InlineSession, "run_stream", soon_stopped)
    campaign = measure(POISSON | {"stream_s": 60}, stop=stop, min_rounds=10_000, max_rounds=10_000)
    (record,) = campaign.trials()
    assert record.state == "interrupted"
    rounds = campaign.rounds(record.trial_id)
    assert 1 <= rounds.num_rows < 590
    assert set(rounds.column("stream").to_pylist()) == {0}
    assert not any(rounds.column("incomplete").to_pylist())
    assert set(campaign.timings(record.trial_id).column("outcome").to_pylist()) == {"ok"}
