"""Schedules of streams, and files of arrival times."""

import os
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from null_trials import null_trial
from refusals import refused

from orchestrator.configuration.config import Trial
from orchestrator.subject.schedule import Schedule, mean_rate, read_trace, refuse_cut_groups, refuse_torn, schedule_of


def trial(**load: Any) -> Trial:
    return null_trial(load=load)


def schedule(samples: int = 20, stream: int = 0, **load: Any) -> Schedule:
    return schedule_of(trial(**load), samples, stream)


def test_a_stream_is_its_ramp_and_whole_rounds_of_every_sample_once() -> None:
    found = schedule(name="poisson", rate_per_s=40, stream_s=3, seed=4)
    assert found.ramp == 40
    assert found.rounds == 4
    assert found.moments_ns.size == found.samples.size == 120
    for number in range(found.rounds):
        assert sorted(found.samples[found.of_round(number)]) == list(range(20))
    assert found.of_round(-1) == slice(0, 40)
    assert (found.samples[found.of_round(0)] != found.samples[found.of_round(1)]).any()


def test_a_stream_takes_ten_seconds_or_two_rounds() -> None:
    assert (schedule(samples=20, name="periodic", rate_per_s=40).moments_ns[-1] + 25_000_000) / 1e9 == pytest.approx(10)
    slow = schedule(samples=100, name="periodic", rate_per_s=10)
    assert slow.rounds == 2
    assert slow.ramp == 11


def test_streams_differ_and_come_again() -> None:
    one, other, again = (schedule(stream=stream, name="gamma", rate_per_s=5, burstiness=0.5) for stream in (0, 1, 0))
    assert (one.moments_ns != other.moments_ns).any()
    assert (one.samples != other.samples).any()
    assert (one.moments_ns == again.moments_ns).all()
    assert (one.samples == again.samples).all()


def test_no_stream_is_longer_than_memory() -> None:
    with refused("too_large", "load.rate_per_s", 1e6):
        schedule(name="poisson", rate_per_s=1e6, stream_s=100)


def test_groups_larger_than_a_stream_are_refused_and_fill_no_memory() -> None:
    with refused("conflict", "load.group", 10**9):
        refuse_cut_groups(10**9, schedule(name="poisson", rate_per_s=40, stream_s=3, group=10**9, seed=4, samples=81).moments_ns.size)
    assert not schedule(name="periodic", rate_per_s=40, group=10**9).moments_ns.any()
    refuse_cut_groups(120, 120)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "0.5\n1.5\n\n2.25\n"),
        ("b.csv", "\ufeffarrival_s,id\n0.5,7\n1.5,8\n2.25,9\n"),
        ("b.csv", "id,arrival_s\n7,0.5\n8,1.5\n9,2.25\n"),
        ("c.jsonl", '{"arrival_s": 0.5}\n{"arrival_s": 1.5}\n{"arrival_s": 2.25}\n'),
        ("d.jsonl", "0.5\n1.5\n2.25\n"),
        ("d.jsonl", '"1970-01-01T00:00:00.5"\n"1970-01-01T00:00:01.5"\n"1970-01-01 00:00:02.25"\n'),
        ("e.csv", "TIMESTAMP,tokens\n1970-01-01T00:00:00.5+00:00,1\n1970-01-01T00:00:01.5+00:00,2\n1970-01-01T00:00:02.250+00:00,3\n"),
    ],
)
def test_times_of_a_file_in_every_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_trace(tmp_path / name).tolist() == [0.5, 1.5, 2.25]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.csv", "1\nx\n", 2),
        ("a.csv", "1\ninf\n", 2),
        ("a.csv", "a,b\n1,2\n", None),
        ("a.csv", "a,time\n1\n", 2),
        ("a.csv", "arrival_s\n0,00\n0,02\n", 2),
        ("a.csv", "0\n\n0,02\n", 3),
        ("a.csv", "time;tokens\n0,5;3\n", 1),
        ("a.csv", 'arrival_s\n"0,02"\n', 2),
        ("a.csv", 'time,note\n1,"a\n2,b\n', None),
        ("a.csv", "1_0\n", 1),
        ("a.csv", "\xff", 1),
        ("a.csv", "1764000000000\n1764000000100\n", 1),
        ("a.jsonl", "true\n", 1),
        ("a.jsonl", '{"arrival_s": 0}\n{"arrival_s": true}\n', 2),
        ("a.jsonl", '{"arrival_s": 0}\n{"time": 1}\n', 2),
        ("a.jsonl", "1" + "0" * 400, 1),
        ("a.jsonl", '{"at": 1}\n', None),
        ("a.jsonl", "{\n", None),
    ],
)
def test_a_file_that_holds_no_times_is_refused(tmp_path: Path, name: str, text: str, line: int | None) -> None:
    (tmp_path / name).write_text(text)
    with refused("damaged", "load.file", tmp_path / name) as caught:
        read_trace(tmp_path / name)
    assert line is None or f"line {line}" in str(caught.value)


def test_what_has_no_end_is_no_trace(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with refused("invalid", "load.file", path):
            read_trace(path)


def test_conversations_come_whole_at_a_rate_of_their_samples() -> None:
    turns = [1 + number % 5 for number in range(2000)]
    found = schedule_of(trial(name="poisson", rate_per_s=30), sum(turns), 3, turns)
    parts = [part.tolist() for part in np.split(found.samples, found.bounds or [])[1:-1]]
    assert (found.ramp, found.rounds, len(np.unique(found.moments_ns))) == (0, 1, len(turns))
    assert parts != sorted(parts) == [list(range(end - size, end)) for size, end in zip(turns, accumulate(turns), strict=True)]
    assert sum(turns) / found.moments_ns[-1] * 1e9 == pytest.approx(30, rel=0.1)


@pytest.mark.parametrize(
    ("key", "turns", "blocks"),
    [
        ("task.limit", [2, 3], {"task": {"limit": 3}}),
        ("measurement.batch", [2, 3], {"measurement": {"batch": 2}}),
        ("load.stream_s", [2, 3], {"load": {"name": "poisson", "rate_per_s": 1, "stream_s": 20}}),
        ("load.ramp_s", None, {"task": {"file": "/t"}, "load": {"name": "trace", "file": "/t", "ramp_s": 1}}),
        ("load.group", None, {"task": {"file": "/t"}, "load": {"name": "trace", "file": "/t", "group": 2}}),
        ("load.think_s", None, {"load": {"name": "poisson", "rate_per_s": 1, "think_s": 2}}),
        ("load", [2, 3], {"load": {"name": "poisson", "rate_per_s": 1}}),
    ],
)
def test_what_would_tear_conversations_or_a_trace_apart_is_refused(key: str, turns: list[int] | None, blocks: dict[str, Any]) -> None:
    with refused("conflict", key):
        refuse_torn(null_trial(**blocks), turns)


def test_a_trace_fills_whole_rounds_and_is_played_faster(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("\n".join(str(number / 10) for number in range(200)))
    found = schedule(name="trace", file=str(file), speed=2)
    assert mean_rate(trial(name="trace", file=str(file), speed=2)) == pytest.approx(20)
    assert found.ramp == 20
    assert found.rounds == 9
    assert found.moments_ns[:3].tolist() == [0, 50_000_000, 100_000_000]
    assert schedule(name="trace", file=str(file), speed=2, stream_s=4).rounds == 3
    for changes in ({"samples": 500}, {"samples": 1, "ramp_s": 20}):
        with refused("invalid", "load.file", str(file)):
            schedule(name="trace", file=str(file), **changes)
