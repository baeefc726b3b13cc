"""A whole campaign in one process on a fake clock: ``fake_clock_campaign.py DIR [ROUND]`` begins it, or goes on with what is there.

Run as a program of its own, so that it can be killed at any moment. It never comes past ROUND, if there is one, and says so.
"""

import sys
import tempfile
import threading
from pathlib import Path

import null_trials
from virtual_clock import NoisyClock, at_rest

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.commands.progress import Progress
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial
from orchestrator.measurement.rounds import TimedRounds
from orchestrator.running import trial_judge
from orchestrator.running.inline import InlineExecutor, InlineJob, InlineSession
from orchestrator.running.pipeline import run_trials
from orchestrator.storage.files import write_results
from orchestrator.storage.handover import Rounds
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, PlannedTrial
from orchestrator.storage.writer import CampaignWriter

ROUNDS = 40


class Sessions(InlineExecutor):
    """Tells the clock which round begins."""

    def __init__(self, scratch: Path, cache_dir: Path, clock: NoisyClock, hold_at: int | None) -> None:
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
    # Of a visit of several rounds a death may leave one: two visits then, and other intervals.
    measurement = {"min_rounds": ROUNDS, "max_rounds": ROUNDS, "visit_rounds": 1}
    models = [{"name": f"null{len(wrong)}", "sleep_ms": 0.5, "wrong": wrong} for wrong in ([3], [3, 7])]
    return tuple(null_trials.planned(*(null_trials.null_document(model=model, measurement=measurement) for model in models)))


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
        executor = Sessions(Path(scratch), directory.parent / "cache", NoisyClock(), hold_at)
        run_trials(trials, executor, writer, Progress(len(trials), None), threading.Event(), now_ns=at_rest)
    write_results(directory, analyse(open_campaign(directory), AnalysisConfig()).tables, {})


if __name__ == "__main__":
    # The machine's own speed is real, and no part of what is compared.
    trial_judge.LARGEST_CHANGE = float("inf")
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
