"""A signal whose exception is lost on its way, with or without a trace, ends the program before its next step all the same."""

import json
import signal
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from program import ECHO, rounds

from orchestrator.commands import line, measuring, planning
from orchestrator.endings import Stopped
from orchestrator.running import signals
from orchestrator.running.signals import _Reception, handled_by, heed_signals, silent_about_stops, stop_at_once
from orchestrator.storage.writer import CampaignWriter

Arrive = Callable[[], None]


@pytest.fixture
def arrive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Arrive]:
    """Have a signal arrive as in the program, at this very moment."""
    for name, value in {"handler": None, "come": [], "untold": deque(), "leaving": False, "left": SimpleQueue()}.items():
        monkeypatch.setattr(_Reception, name, value)
    monkeypatch.setattr(sys, "unraisablehook", silent_about_stops(sys.unraisablehook))
    before = signal.signal(signals.RELAY, signals._tell)

    def come() -> None:
        _Reception.come.append(signal.SIGTERM)
        _Reception.untold.append(signal.SIGTERM)
        signals._wake()

    yield come
    signal.signal(signals.RELAY, before)


def in_a_destructor(arrive: Arrive) -> None:
    class Dropped:
        def __del__(self) -> None:
            arrive()

    Dropped()


def in_a_callback(arrive: Arrive) -> None:
    class Watched:
        pass

    watched = Watched()
    kept = weakref.ref(watched, lambda gone: arrive())
    del watched
    assert kept() is None


def in_a_library(arrive: Arrive) -> None:
    with suppress(BaseException):
        arrive()


WAYS = (in_a_destructor, in_a_callback, in_a_library)


@pytest.mark.parametrize("lose", WAYS)
def test_the_next_step_raises_what_was_lost(arrive: Arrive, lose: Callable[[Arrive], None], capsys: pytest.CaptureFixture[str]) -> None:
    with handled_by(stop_at_once):
        heed_signals()
        lose(arrive)
        with pytest.raises(Stopped):
            heed_signals()
        with pytest.raises(Stopped), handled_by(lambda number, frame: None):
            pytest.fail("what has a handler of its own is a step, too")
    assert capsys.readouterr().err == ""


STEPS = {
    "its verb is imported": (line, "import_module"),
    "it composes": (planning, "compose_trials"),
    "it looks at models": (planning, "make_plan_of"),
    "it looks at code": (measuring, "digest_code"),
    "the folder is made": (CampaignWriter, "create"),
    "it measures": (measuring, "stop_on_signals"),
    "all is measured": (CampaignWriter, "look_after"),
}


@pytest.mark.parametrize(("step", "lose"), [*zip(STEPS, 3 * WAYS, strict=False)])
def test_a_campaign_goes_no_further(
    arrive: Arrive,
    step: str,
    lose: Callable[[Arrive], None],
    call: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, name = STEPS[step]
    before = getattr(place, name)

    def signalled(*arguments: Any, **options: Any) -> Any:
        if name == "look_after" and not _Reception.come:
            arrive()  # the first one ends with the round, which is over
        lose(arrive)
        return before(*arguments, **options)

    monkeypatch.setattr(measuring, "SAME_SIGNAL_S", 0)
    monkeypatch.setattr(place, name, staticmethod(signalled) if name == "create" else signalled)
    answer = call(*ECHO, *rounds(2), "results_dir=r")
    assert (answer.returncode, answer.stdout) == (130, ""), answer
    assert not {"Traceback", "ignored"} & set(answer.stderr.split()), answer.stderr
    begun = step in ("the folder is made", "it measures", "all is measured")
    assert (tmp_path / "r").exists() == begun
    assert ("stopped at once; go on with: python -m orchestrator resume r\n" in answer.stderr) == begun, answer.stderr
    if begun:
        state = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"][0]["state"]
        assert state == ("done" if step == "all is measured" else "planned")
        assert not (tmp_path / "r" / "report.html").exists()


CUT_OFF = """
import os, signal, time
from orchestrator.running import signals
signals.GIVE_UP_S = 0
signals.receive_signals()
signals.leave_word("go on so")
def sleep_on(number, frame):  # as a main thread does that was about to fall asleep
    signal.signal(signals.RELAY, signals._tell)
signal.signal(signals.RELAY, sleep_on)
class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)
with signals.handled_by(signals.stop_at_once):
    Dropped()
    time.sleep(600)
"""


def test_a_main_thread_that_sleeps_on_is_woken_again_and_a_step_without_an_end_is_cut_off() -> None:
    done = subprocess.run([sys.executable, "-c", CUT_OFF], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "go on so\n")
