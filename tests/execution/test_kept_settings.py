"""Code of one trial changes settings of the whole process: nobody else sees it."""

from __future__ import annotations

import decimal
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.configuration.config import Trial
from orchestrator.kept_settings import SettingsKept
from orchestrator.running.executor import LocalSite
from orchestrator.running.inline import InlineJob
from orchestrator.stats.stopping.rule import Bounded, Decision, RoundObservation, RuleSettings


def settings() -> tuple[object, ...]:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask, sys.getrecursionlimit(), Path.cwd(), [*warnings.filters], np.geterr(), decimal.getcontext().prec


def spoil(folder: Path) -> dict[str, None]:
    np.seterr(all="raise")
    decimal.getcontext().prec = 3
    warnings.simplefilter("error")
    os.chdir(folder)
    os.umask(0o777)
    depth, frame = 1, sys._getframe()
    while (outer := frame.f_back) is not None:
        depth, frame = depth + 1, outer
    for limit in range(depth, depth + 20):  # the lowest that Python takes
        try:
            sys.setrecursionlimit(limit)
        except RecursionError:
            continue
        break
    return {}


def test_settings_are_put_back_also_where_it_raises(tmp_path: Path) -> None:
    before = settings()
    with SettingsKept():
        with pytest.raises(KeyError), SettingsKept():
            spoil(tmp_path)["raises"]
        within = settings()
    assert within == settings() == before


def test_calls_of_two_threads_go_back_to_what_was_before_both(tmp_path: Path) -> None:
    before, spoiled, over = settings(), threading.Event(), threading.Event()

    def other() -> None:
        with SettingsKept():
            os.umask(0o777)
            spoiled.set()
            over.wait(10)

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    assert spoiled.wait(10)
    with SettingsKept():
        over.set()
        thread.join()
        spoil(tmp_path)
    assert settings() == before


class Rule:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        spoil(self._folder)
        return Decision(False)


def by_a_rule(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Bounded(Rule(folder), RuleSettings(1, 2)).update(RoundObservation(0, {}, lambda _: 1.0, 1.0), 0.0)


def by_a_model_in_this_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    InlineJob(lambda: spoil(folder)).result()


def by_a_task_that_is_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "spoils_settings.py").write_text("import os, sys\n\nos.umask(0o777)\nsys.setrecursionlimit(50_000)\n")
    monkeypatch.syspath_prepend(folder)
    target = {"name": "m", "kind": "k", "target": "spoils_settings:Missing"}
    trial = Trial.model_validate(
        {
            "model": {**target, "runtimes": ["python"]},
            "task": target,
            "system": {"name": "s"},
            "runtime": {"name": "python"},
            "measurement": {},
        }
    )
    site = LocalSite(lambda: pytest.fail("no process is needed"))
    assert "has no Missing" in site.look(site.machine(trial.system), [trial])[0].missing[0]


@pytest.mark.parametrize("spoiling", [by_a_rule, by_a_model_in_this_process, by_a_task_that_is_looked_at])
def test_settings_are_kept_wherever_the_driver_calls_code_of_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiling: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    before = settings()
    spoiling(tmp_path, monkeypatch)
    assert settings() == before
