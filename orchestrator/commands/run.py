"""``run``: plan a campaign, measure it, store it, report it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import orchestrator
from orchestrator.commands.arguments import Arguments
from orchestrator.commands.caches import cache_dir
from orchestrator.commands.planning import plan_campaign
from orchestrator.commands.report import write_report
from orchestrator.config import CampaignConfig
from orchestrator.contracts import InputError
from orchestrator.execution.executor import Executor
from orchestrator.pipeline import run_trials
from orchestrator.report.progress import Progress
from orchestrator.storage.records import CampaignRecord, PlannedTrial
from orchestrator.storage.writer import CampaignWriter

FAILED_STATES = ("failed", "interrupted", "infeasible")


def execute(arguments: Arguments) -> int:
    """Run the campaign that the command line describes. Returns the exit code."""
    with Progress(0, None if arguments.quiet else sys.stderr) as waiting:
        campaign, plan, composition = plan_campaign(arguments, waiting.say)
    infeasible = plan.infeasible
    if infeasible and not arguments.skip_infeasible:
        raise InputError(
            f"{len(infeasible)} of {len(plan.trials)} trials cannot run here, first {infeasible[0].trial_id}: {infeasible[0].reason}; "
            "change the plan or add --skip-infeasible"
        )
    runnable = [planned for planned in plan.trials if planned.state == "planned"]
    if not runnable:
        raise InputError(f"none of {len(plan.trials)} trials can run here, first {plan.trials[0].trial_id}: {plan.trials[0].reason}")
    record = CampaignRecord(
        code_version=orchestrator.__version__,
        name=composition.name,
        command=arguments.command,
        sweep=composition.sweep,
        config=campaign,
        trials=plan.trials,
        left_out=plan.left_out,
    )
    directory = results_directory(campaign, composition.name)
    with CampaignWriter.create(directory, record, latest=campaign.results_dir is None) as writer:
        return measure(writer, campaign, runnable, arguments)


def measure(writer: CampaignWriter, campaign: CampaignConfig, runnable: list[PlannedTrial], arguments: Arguments) -> int:
    """Run trials of a campaign whose record is written, then report. Returns the exit code."""
    stop = threading.Event()
    with Progress(len(runnable), None if arguments.quiet else sys.stderr) as progress:
        progress.say(f"{len(runnable)} trials into {writer.directory}")
        # Ray sets handlers of its own when it starts: ours come after.
        with open_executor(campaign) as executor, stop_on_signals(stop, progress):
            run_trials(runnable, executor, writer, progress, stop, primary=campaign.analysis.primary)
    write_report(writer.directory, campaign.analysis)
    if stop.is_set():
        print(f"interrupted; finish with: python -m orchestrator resume {writer.directory}", file=sys.stderr)  # noqa: T201
        return 130
    states = {planned.state for planned in writer.record.trials}
    return 1 if states & set(FAILED_STATES) else 0


def results_directory(campaign: CampaignConfig, name: str) -> Path:
    """Return the campaign's folder: the user's, or a new one named after the time."""
    if campaign.results_dir is not None:
        return Path(campaign.results_dir).expanduser()
    return Path("results") / name / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


def open_executor(campaign: CampaignConfig) -> AbstractContextManager[Executor]:
    """Return the executor of the campaign's cluster."""
    if campaign.cluster.name == "inline":
        from orchestrator.execution.inline import open_inline

        return open_inline(cache_dir())
    from orchestrator.distributed.cluster import open_cluster

    return open_cluster(campaign, cache_dir())


@contextmanager
def stop_on_signals(stop: threading.Event, progress: Progress) -> Iterator[None]:
    """Finish the round and stop at the first Ctrl-C, SIGTERM or SIGHUP; stop at once at the second."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        progress.say(f"{signal.Signals(number).name}: finishing the round, then stopping; once more to stop at once")

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
