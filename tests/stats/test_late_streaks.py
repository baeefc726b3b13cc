"""Streaks, windows and silences, against going through the answers one by one."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from effort import EFFORT
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stats.slow_rounds import late_in_windows, silences, staleness, streak_of_each, worst_window_of_each

FLAGS = st.lists(st.booleans(), max_size=40)


@given(FLAGS, st.integers(1, 12))
@settings(max_examples=200 * EFFORT, deadline=None)
def test_streaks_and_windows_are_those_of_a_loop(late: list[bool], length: int) -> None:
    ages, streak = [], 0
    for one in late:
        streak = streak + 1 if one else 0
        ages.append(streak)
    assert staleness(late).tolist() == ages
    runs = [list(run) for _, run in groupby(late)]
    assert streak_of_each(late).tolist() == [len(run) * run[0] for run in runs for _ in run]
    held = min(length, len(late))
    windows = [range(at, at + held) for at in range(len(late) - held + 1)]
    worst = [max(sum(late[each] for each in window) for window in windows if place in window) for place in range(len(late))]
    assert worst_window_of_each(late, length).tolist() == worst
    assert late_in_windows(late, length).tolist() == [sum(late[at : at + length]) for at in range(len(late) - length + 1)]


@given(FLAGS, st.integers(0, 2**32))
@settings(max_examples=200 * EFFORT, deadline=None)
def test_silences_are_those_of_a_loop(late: list[bool], seed: int) -> None:
    random = np.random.default_rng(seed)
    due = np.cumsum(random.integers(0, 20, size=len(late))) + 50
    answered = due - random.integers(0, 50, size=len(late))
    expected, since, count = [], 0, 0
    for place, one in enumerate(late):
        if one and not count:
            since = int(due[place])
        if count and not one:
            expected.append((count, max(int(answered[place]) - since, 0)))
        count = count + 1 if one else 0
    if count:
        expected.append((count, int(due[-1]) - since))
    answers, lasted_ns = silences(late, due, answered)
    assert list(zip(answers.tolist(), lasted_ns.tolist(), strict=True)) == expected
