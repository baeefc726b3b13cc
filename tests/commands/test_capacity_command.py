"""``capacity`` measured for real, in this process: what it plans, stores and says, and how it goes on. No verdict depends on times."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import stored_corpus
from program import ECHO, Call
from refusals import refused

from orchestrator.analysis.capacity import searches_of
from orchestrator.analysis.load import NOT_KEPT, OVERLOADED
from orchestrator.analysis.loading import load_trials
from orchestrator.commands import capacity, line, searching
from orchestrator.commands.progress import Progress
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import PlannedTrial

pytestmark = [pytest.mark.slow, pytest.mark.first]

WORDS = ("task.count=5", "model.sleep_ms=1", "runtime=torch", "load=poisson", "load.ramp_s=0.01", "cluster=inline", "measurement.pause=0")
MOST_PER_S = 60.0
"""From this rate on every schedule of the tests is overloaded."""


@pytest.fixture
def overloaded_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short closed loop, the first and the last rate to certify alone, and an overload that does not depend on the machine."""
    monkeypatch.setitem(capacity.CLOSED, "max_seconds", 0.2)
    monkeypatch.setattr("orchestrator.stats.capacity.CERTIFIED_SHARES", (0.65, 0.96))

    def flags(data: Any, deadline: object) -> tuple[str, ...]:
        return (OVERLOADED,) if data.record.trial.load.rate_per_s > MOST_PER_S else ()

    monkeypatch.setattr("orchestrator.analysis.capacity.load_flags", flags)


@pytest.mark.usefixtures("overloaded_above")
def test_a_search_is_a_campaign_that_goes_on_after_a_kill(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    exploring = searching.exploring
    asked = []

    def killed(*arguments: Any) -> Callable[[Progress], Sequence[PlannedTrial]]:
        more = exploring(*arguments)

        def ask(progress: Progress) -> Sequence[PlannedTrial]:
            asked.append(more(progress))
            if len(asked) == 2:  # the second half of the pilot is planned, and nothing of it measured
                raise KeyboardInterrupt
            return asked[-1]

        return ask

    monkeypatch.setattr(searching, "exploring", killed)
    words = ("capacity", *ECHO, *WORDS, "system=cpu_all", "results_dir=found", "--deadline", "100000 ms", "--keep", "0.5", "--answers", "6")
    code, _, err = call(*words)
    assert (code, "go on with: python -m orchestrator resume found" in err) == (130, True)
    monkeypatch.setattr(searching, "exploring", exploring)
    assert len(json.loads(Path("found/campaign.json").read_text())["trials"]) == 11
    assert call("resume", "found", "--quiet").returncode == 0
    campaign = open_campaign("found")
    assert {record.state for record in campaign.trials()} == {"done"}
    closed, *rates = campaign.trials()
    assert not closed.trial.load.is_open
    rows = pq.read_table("found/capacity.parquet").to_pylist()
    assert {row["trial"] for row in rows} == {record.trial_id for record in rates}
    assert {row["answers"] for row in rows} == {10}, "whole rounds of 5"
    pilot = [row for row in rows if row["verdict"] == "pilot"]
    tested = [row for row in rows if row["verdict"] != "pilot"]
    assert [row["streams"] for row in pilot[:5]] == [2] * 5
    assert [row["streams"] for row in pilot[-5:]] == [4] * 5
    assert {row["streams"] for row in tested} == {30}
    for row in rows:
        assert row["streams_kept"] == row["streams"], "no answer takes 100 s"
        assert (row["why"] == OVERLOADED) == (row["rate_per_s"] > MOST_PER_S)
    beside = sorted(row["rate_per_s"] for row in pilot)
    below = max(rate for rate in beside if rate <= MOST_PER_S)
    above = min(rate for rate in beside if rate > MOST_PER_S)
    assert below <= rows[0]["estimate_per_s"] <= above <= 1.3 * below
    shares = [round(row["rate_per_s"] / row["estimate_per_s"], 4) for row in tested]
    assert shares == [0.65, 0.96], "the first is always kept: the estimate is at most 1.3 times the highest rate that is"
    assert [row["verdict"] for row in tested[:-1]] == ["kept"] * (len(tested) - 1)
    assert rows[0]["certified_per_s"] == max(row["rate_per_s"] for row in tested if row["verdict"] == "kept") <= MOST_PER_S
    assert len({record.trial.load.seed for record in rates}) == len(rates), "no rate repeats the arrivals of another"
    monkeypatch.setattr("orchestrator.analysis.capacity.load_flags", lambda data, deadline: (NOT_KEPT,))
    (search,) = searches_of(load_trials(campaign))
    assert (search.certified, search.estimate, search.next_rates()[0]) == (None, None, ())
    assert {one.verdict for one in search.tested} == {"not kept"}
    assert call("resume", "found", "--quiet")[:2] == (2, "")


@pytest.mark.usefixtures("overloaded_above")
def test_systems_that_are_late_back_to_back_are_not_searched(call: Call) -> None:
    words = ("capacity", *ECHO, *WORDS, "system=cpu_all,cpu_1core", "--deadline", "0.01 ms")
    assert call(*words, "results_dir=one", "--full").returncode == 3
    rows = pq.read_table("one/capacity.parquet").to_pylist()
    assert [(row["system"], row["verdict"], row["rate_per_s"]) for row in rows] == [
        ("cpu_all", "not measured", None),
        ("cpu_1core", "not measured", None),
    ]
    assert len(open_campaign("one").trials()) == 2


@pytest.mark.usefixtures("overloaded_above")
def test_a_budget_that_is_too_short_names_the_minutes(call: Call) -> None:
    words = ("capacity", *ECHO, *WORDS, "system=cpu_all", "results_dir=brief", "--deadline", "100000 ms", "--keep", "0.9999")
    assert call(*words, "--minutes", "1").returncode == 3
    (row,) = pq.read_table("brief/capacity.parquet").to_pylist()
    assert (row["verdict"], row["rate_per_s"], row["minutes"]) == ("not measured", None, 1)
    assert row["minutes_needed"] > 1


def test_what_an_older_version_has_searched_is_read_anew(call: Call) -> None:
    """The counts are those of the stored responses, recomputed here."""
    folder = stored_corpus.unpack(Path("corpus")) / "c" / "searched" / "a"
    assert call("report", str(folder))[0] == 0
    rows = pq.read_table(folder / "capacity.parquet").to_pylist()
    assert len(rows) == 2
    for row in rows:
        trial = folder / "trials" / row["trial"]
        samples = pq.read_table(trial / "predictions.parquet").to_pydict()
        right = np.array(samples["score_top1"])
        timings, rounds = (pq.read_table(trial / name) for name in ("timings", "rounds"))
        stream_of = dict(zip(rounds["round"].to_pylist(), rounds["stream"].to_pylist(), strict=True))
        counted = ~np.array(timings["ramp"].to_pylist())
        response = sum(timings[name].fill_null(0).to_numpy() for name in ("queue_ns", "preprocess_ns", "inference_ns", "postprocess_ns"))
        kept = np.where(response <= row["threshold_ns"], right[timings["sample"].to_numpy()], 0.0)[counted]
        streams = np.array([stream_of[number] for number in timings["round"].to_numpy()[counted]])
        by_stream = np.array([kept[streams == number].mean() for number in np.unique(streams)])
        assert (row["streams"], row["answers"]) == (by_stream.size, (streams == streams[0]).sum())
        assert row["streams_kept"] == (by_stream >= row["keep"] * right.mean() - 1e-12).sum()
        assert row["mean"] == pytest.approx(by_stream.mean())
        assert (row["verdict"], row["certified_per_s"]) == ("pilot", None)
    with refused("unsupported"):
        line.run(["resume", str(folder)])
