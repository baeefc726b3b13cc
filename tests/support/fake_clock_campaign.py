"""A whole campaign in one process on a fake clock: ``fake_clock_campaign.py DIR [ROUND]`` begins it, or goes on with what is there.

Run as a program of its own, so that it can be killed at any moment. It never comes past ROUND, if there is one, and says so.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
from pathlib import Path

from virtual_clock import at_rest

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.commands.progress import Progress
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.machine.host import read_machine
from orchestrator.measurement.rounds import TimedRounds
from orchestrator.running import trial_judge
from orchestrator.running.inline import InlineExecutor, InlineJob, InlineSession
from orchestrator.running.pipeline import run_trials
from orchestrator.running.plan import Candidate, make_plan_of
from orchestrator.storage.files import write_results
from orchestrator.storage.handover import Rounds
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import Inspector

ROUNDS = 40


class Clock:
    """Readings that depend on the number of the round and of the reading in it alone, whichever process takes them."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, number: int) -> None:
        """Begin a round: its readings start at as many seconds and are 1 to 9 ms apart."""
        self._now = number * 1_000_000_000
        self._random = random.Random(number)

    def __call__(self) -> int:
        self._now += self._random.randint(1, 9) * 1_000_000
        return self._now


class Sessions(InlineExecutor):
    """Tells the clock which round begins."""

    def __init__(self, scratch: Path, cache_dir: Path, clock: Clock, hold_at: int | None) -> None:
        super().__init__(scratch, cache_dir, clock, clock)
        self._told = clock
        self._hold_at = hold_at

    def open(self, trial: Trial, trial_id: str, process: int) -> InlineSession:
        session = super().open(trial, trial_id, process)
        run_rounds = session.run_rounds

        def led_in(number: int) -> dict[str, int | None]:
            found = TimedRounds.lead_in(session._worker._rounds, number)
            self._told.begin(number)
            return found

        def told(first: int, count: int, visit: int) -> InlineJob[Rounds]:
            session._worker._rounds.lead_in = led_in  # type: ignore[method-assign]
            if self._hold_at is not None and first >= self._hold_at:
                sys.stdout.write("held\n")
                sys.stdout.flush()
                threading.Event().wait()
            self._told.begin(first)
            return run_rounds(first, count, visit)

        session.run_rounds = told  # type: ignore[method-assign]
        return session


def planned() -> tuple[PlannedTrial, ...]:
    target = {"kind": "image_classification"}
    candidates = []
    for wrong in ([3], [3, 7]):
        document = {
            "model": {
                "name": f"null{len(wrong)}", "target": "null_targets:NullModel", "runtimes": ["torch"], "sleep_ms": 0.5, "wrong": wrong,
                "raises_on": [], "fails_to_load": False, "dies": False, **target,
            },
            "task": {"name": "numbers", "target": "null_targets:Numbers", "count": 20, **target},
            "system": {"name": "cpu_all"},
            "runtime": {"name": "torch"},
            # Of a visit of several rounds a death may leave one: two visits then, and other intervals.
            "measurement": {"rule": "rounds", "min_rounds": ROUNDS, "max_rounds": ROUNDS, "visit_rounds": 1},
        }  # fmt: skip
        trial = parse_trial(document)
        candidates.append(Candidate(trial, Inspector().open(trial).inspection, read_machine()))
    return make_plan_of(candidates).trials


def main(directory: Path, hold_at: int | None = None) -> None:
    if (code := str(Path(__file__).with_name("code"))) not in sys.path:
        sys.path.append(code)
    if (directory / CAMPAIGN).exists():
        writer = CampaignWriter.reopen(directory)
        trials = tuple(one for one in writer.record.trials if one.state != "done")
    else:
        trials = planned()
        writer = CampaignWriter.create(directory, CampaignRecord(code_version="test", name="test", trials=trials))
    with writer, tempfile.TemporaryDirectory() as scratch:
        executor = Sessions(Path(scratch), directory.parent / "cache", Clock(), hold_at)
        run_trials(trials, executor, writer, Progress(len(trials), None), threading.Event(), now_ns=at_rest)
    write_results(directory, analyse(open_campaign(directory), AnalysisConfig()).tables, {})


if __name__ == "__main__":
    # The machine's own speed is real, and no part of what is compared.
    trial_judge.LARGEST_CHANGE = float("inf")
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
