"""``capacity`` measured for real, in this process: what it plans, stores and says, and how it goes on. No verdict depends on times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.capacity import searches_of
from orchestrator.analysis.capacity_budget import USUAL_PACE, choices, least_s, pace_of, seconds_left, seconds_spent, standing_of
from orchestrator.analysis.load import NOT_KEPT
from orchestrator.analysis.trial_data import load_trials
from orchestrator.commands import capacity, resume
from orchestrator.report.capacity import capacity_sentences, capacity_tables
from orchestrator.report.figures.charts.capacity import capacity_chart
from orchestrator.report.figures.reading import readings
from orchestrator.storage.files import write_json
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import PlannedTrial

pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]
WORDS = ("task.count=5", "model.sleep_ms=1", "runtime=torch", "load=poisson", "load.stream_s=0.1", "load.ramp_s=0.02", "cluster=inline")


@pytest.fixture
def whatever_the_machine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short closed loop, and no schedule that a busy machine has not kept."""
    monkeypatch.setitem(capacity.CLOSED, "max_seconds", 0.2)
    monkeypatch.setattr("orchestrator.analysis.capacity.load_flags", lambda data, deadline: ())


@pytest.mark.usefixtures("whatever_the_machine_does")
def test_a_search_is_a_campaign_that_goes_on_after_a_kill(call: Call, null_words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plan = capacity.Explorer.__call__
    asked = []

    def killed(explorer: capacity.Explorer, *arguments: object) -> Sequence[PlannedTrial]:
        asked.append(plan(explorer, *arguments))  # type: ignore[arg-type]
        if len(asked) == 2:  # the second rate is planned, and nothing of it measured
            raise KeyboardInterrupt
        return asked[-1]

    monkeypatch.setattr(capacity.Explorer, "__call__", killed)
    words = ("capacity", *null_words, *WORDS, "system=cpu_all", "results_dir=found", "--quiet", "--deadline", "100000 ms", "--keep", "0.5")
    code, _, err = call(*words)
    assert (code, "go on with: python -m orchestrator resume found" in err) == (130, True)
    monkeypatch.setattr(capacity.Explorer, "__call__", plan)
    assert len(json.loads(Path("found/campaign.json").read_text())["trials"]) == 3
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = call("resume", "found", "--quiet")
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith(("All tables", "report:")))
    assert "Capacity of numbers: 50 % of top1 within 100000 ms" in out
    assert "not refuted by" in " ".join(out.split())
    campaign = open_campaign("found")
    records = campaign.trials()
    assert {record.state for record in records} == {"done"}
    closed, *probes = records
    assert not closed.trial.load.is_open
    rows = pq.read_table("found/capacity.parquet").to_pylist()
    assert [row["trial"] for row in rows] == [record.trial_id for record in probes]
    rates = [row["rate_per_s"] for row in rows]
    assert rates == sorted(rates)
    assert len(set(rates)) == len(rates) == 5, "a closed loop that is never late leads to expect that nothing is, and three rates lie above"
    assert {row["verdict"] for row in rows} == {"keeps"}
    (search,) = searches_of(load_trials(campaign))
    assert search.span is not None
    assert rates[1] == search.span.highest
    assert (search.bracket.certified, search.bracket.refuted) == (rates[-1], None)
    monkeypatch.setattr("orchestrator.analysis.capacity.load_flags", lambda data, deadline: (NOT_KEPT,))
    (search,) = searches_of(load_trials(campaign))
    assert {measured.judgement.verdict for measured in search.probes} == {"undecided"}
    assert search.bracket.certified is None
    monkeypatch.setattr("orchestrator.analysis.capacity.load_flags", lambda data, deadline: ())
    assert call("resume", "found", "--quiet")[:2] == (2, "")
    report, page = Path("found/report.md").read_text(), Path("found/report.html").read_text()
    assert "<summary>Capacity</summary>" in report
    assert "different sets of data" not in report, "trials in a closed loop and under load are of one set"
    assert 'id="capacity-' in page
    assert 'id="figure-capacity-' in page


@pytest.mark.usefixtures("whatever_the_machine_does")
def test_two_systems_that_keep_it_at_no_rate_exit_with_3_and_are_compared(call: Call, null_words: list[str]) -> None:
    words = ("capacity", *null_words, *WORDS, "system=cpu_all,cpu_1core", "--quiet", "--deadline", "0.01 ms")
    assert call(*words, "results_dir=one", "--full")[0] == 3
    rows = pq.read_table("one/capacity.parquet").to_pylist()
    assert {row["search"] for row in rows} == {0, 1}
    assert {row["system"] for row in rows} == {"cpu_all", "cpu_1core"}
    assert {row["certified_per_s"] for row in rows} == {None}
    assert {row["verdict"] for row in rows} == {"fails"}
    code, out, _ = call("report", "one", "--full")
    assert code == 0
    assert "no rate" in out
    assert "Rates measured of numbers" in out
    code, out, err = call("compare", "one", "one")
    assert (code, err) == (0, "")
    assert "Capacity: samples a second" in out
    assert "missing" not in out


@pytest.mark.usefixtures("whatever_the_machine_does")
def test_a_budget_is_stored_and_ends_a_search(call: Call, null_words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("capacity", *null_words, *WORDS, "system=cpu_all", "--quiet", "--deadline", "100000 ms", "--keep", "0.5", "--minutes", "1000")
    assert call(*words, "results_dir=brief")[0] == 0
    question = open_campaign("brief").record.capacity
    assert question is not None
    assert (question.minutes, question.max_seconds) == (1000.0, 60000.0)
    planned = open_campaign("brief").record.trials
    assert [one.trial.measurement.rule for one in planned] == ["rounds", *["capacity"] * 5]
    standing = capacity.standing_in(Path("brief"), question)
    assert (standing.wide, capacity.goes_on(standing, question), capacity.time_is_up(standing, question)) == (0, False, "")
    data, deadline = load_trials(open_campaign("brief")), capacity.time_of(question.deadline)
    closed = standing_of(searches_of([one for one in data if not one.record.trial.load.is_open], question.trials), question, deadline, 0.5)
    assert closed.rates == (closed.searches[0].next_rate(closed.guesses[0]),), "a search goes on where it is expected to end"
    (much,), (little,), (any_time,) = (choices(closed, question, left_s) for left_s in (40.0, 3.0, None))
    assert much is not None
    assert much.most_s is not None
    assert 12 <= much.most_streams <= 400
    assert 30 < much.most_s < 40, "what is left, but for loading"
    assert little is None, "loading takes 2 s at least, and 12 streams more than 1 s"
    assert any_time is not None
    assert any_time.most_s is None
    bounded, free = (capacity.at_rate(question.trials[0], choice, question, 5).measurement for choice in (much, any_time))
    assert free.max_seconds is None
    assert free.min_rounds == 6 * bounded.min_rounds, "a rate whose streams take too long ends before its first look"
    assert bounded.max_seconds is not None
    assert 20 < bounded.max_seconds < 1.1 * much.most_s
    assert seconds_spent(closed.searches) < seconds_spent(standing.searches)
    assert seconds_left(None, 1e9, 1.0) is None
    assert [pace_of(*seen) for seen in ((0.0, 0.0), (30.0, 20.0), (19.0, 20.0))] == [USUAL_PACE, 1.5, 1.0]
    slow, quick = (seconds_left(10, 100.0, reading_s) for reading_s in (2.0, 1.0))
    assert slow is not None
    assert quick is not None
    assert 400 / USUAL_PACE < slow < quick < 500 / USUAL_PACE, "a report that takes longer is left more time"
    said: list[str] = []
    monkeypatch.setattr(capacity, "standing_in", lambda *_: closed)
    monkeypatch.setattr(capacity, "look_at", lambda *_: [None])
    writer = SimpleNamespace(directory=Path("brief"), record=open_campaign("brief").record)
    explorer = capacity.Explorer(question, cast(Any, None), cast(Any, writer), time.monotonic(), spent_s=60000.0)
    assert list(explorer(cast(Any, SimpleNamespace(say=said.append, waited_s=0.0)))) == []
    (told,) = said
    assert told.startswith("too little is left of 1000 min for another rate: 0 s, of ")
    assert told.endswith(" s that are kept for the report; 1 of 1 brackets are wide")
    enough_s = least_s(closed, question)
    assert [choices(closed, question, left_s) != [None] for left_s in (enough_s - 1, enough_s)] == [False, True]
    monkeypatch.setattr(resume, "time_is_up", lambda *_: said[0])
    code, _, err = call("resume", "brief", "--quiet")
    assert (code, "1 of 1 brackets are wide, and a new search with more --minutes finds more" in err) == (2, True)
    _has_no_rate_and_says_so(Path("brief"))


def _has_no_rate_and_says_so(directory: Path) -> None:
    """Take the rates from a campaign, as if its budget had been too short for any."""
    record = open_campaign(directory).record
    assert record.capacity is not None
    brief = record.capacity.model_copy(update={"keep": 0.99999, "minutes": 2.0})  # which takes 700,000 right answers
    without = record.model_copy(update={"trials": record.trials[:1], "capacity": brief})
    write_json(directory / "campaign.json", without.model_dump(mode="json"))
    results = analyse(open_campaign(directory), record.config.analysis)
    (row,) = results.tables["capacity"].to_pylist()
    assert (row["verdict"], row["rate_per_s"], row["mean"], row["streams"]) == ("not measured", None, None, 0)
    assert row["minutes_needed"] > row["minutes"] == 2
    needs = f"needs about {row['minutes_needed']:g} min"
    (sentence,) = capacity_sentences(results)
    assert sentence.endswith(f"99.999 % of top1 within 100000 ms: no rate was measured in --minutes 2; a search {needs}.")
    (table,) = capacity_tables(results)  # for the terminal, report.md and the page
    assert (len(table.rows), needs in table.rows[0]) == (1, True)
    [chart] = [capacity_chart(reading) for reading in readings(results, {})]
    assert chart.series == []


def test_mistakes_are_told_in_one_line(call: Call, null_words: list[str]) -> None:
    deadline = ("--deadline", "50 ms")
    for words, told in (
        (["model=a"], "capacity needs --deadline TIME"),
        ([*null_words[3:], *deadline, "--keep", "1.1"], "argument --keep: '1.1': must be a share between 0 and 1"),
        ([*deadline, "--max-seconds", "nan"], "argument --max-seconds: 'nan': must be a number of seconds"),
        ([*deadline, "--minutes", "0.5"], "argument --minutes: '0.5': must be a number of minutes from 1 on"),
        ([*null_words[2:], *deadline, "load.rate_per_s=3"], "load.rate_per_s=3: capacity gives this key itself"),
        ([*null_words[2:], *deadline, "measurement.rule_options.keep=1"], "measurement.rule_options.keep=1: capacity gives this key"),
        ([*null_words[2:], *deadline, "load=trace"], "load=trace: has no rate"),
        ([*null_words, "system=cpu_all", "--deadline", "p95"], "--deadline p95: must be a time, such as '50 ms'"),
        ([*null_words, "system=cpu_all", "--deadline", "soon"], "--deadline soon: must be a time, such as '50 ms'"),
        (["results", *deadline], "results: capacity takes KEY=VALUE only"),
    ):
        code, out, err = call("capacity", *words)
        assert (code, out) == (2, ""), words
        (line,) = err.splitlines()
        assert told in line, line
