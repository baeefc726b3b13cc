from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import line
from orchestrator.endings import Stopped
from orchestrator.subject.targets import faults_of

SHORT = ["measurement.rule=rounds", "measurement.min_rounds=5", "measurement.max_rounds=5", "cluster=inline", "results_dir=r"]


@pytest.fixture
def words(null_words: list[str]) -> list[str]:
    return [*(word for word in null_words if word != "model=echo"), "model=leaving", *SHORT]


SAID = {"exit": "SystemExit: 0", "base": "Abort: enough", "interrupt": "KeyboardInterrupt"}


@pytest.mark.parametrize(("where", "how"), [("load", "exit"), ("infer", "base"), ("load", "interrupt"), ("infer", "interrupt")])
def test_it_fails_its_trial_and_the_other_one_is_measured(
    call: Callable[..., Any], words: list[str], tmp_path: Path, where: str, how: str
) -> None:
    answer = call(*words, f"model.how={how}", "-m", f"model.where={where},nowhere")
    assert answer.code == 1, answer.err
    assert "Traceback" not in answer.err
    failed, done = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    assert (failed["state"], done["state"]) == ("failed", "done")
    assert f"{SAID[how]} (leaving_targets.py, line " in failed["reason"]


@pytest.fixture
def receiving() -> Iterator[None]:
    """As in the program, no handler of Python's own is called for Ctrl-C."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@pytest.mark.usefixtures("receiving")
@pytest.mark.parametrize(("where", "how"), [("check", "exit"), ("files", "interrupt")])
def test_before_anything_is_measured_it_is_one_line(
    call: Callable[..., Any], words: list[str], tmp_path: Path, where: str, how: str
) -> None:
    answer = call(*words, f"model.where={where}", f"model.how={how}")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert f"{SAID[how]} (leaving_targets.py, line " in answer.err
    assert not (tmp_path / "r").exists()


def test_what_leaves_elsewhere_is_no_success(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(words: list[str]) -> int:
        raise SystemExit(0)

    monkeypatch.setattr(line, "run", leave)
    with pytest.raises(RuntimeError, match="asked to end the program"):
        call("plan")


def test_a_signal_is_no_fault_of_the_user_s_code(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(words: list[str]) -> int:
        with faults_of("model.target=a:B"):
            raise Stopped

    monkeypatch.setattr(line, "run", interrupted)
    assert call("plan") == (130, "", "")
