"""``run``: plan a campaign, measure it, store it, report it."""

import math
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import orchestrator
from orchestrator.commands.asked import Composing
from orchestrator.commands.planning import Composed, compose_campaign, open_site, plan_on
from orchestrator.commands.progress import Progress
from orchestrator.commands.report import write_report
from orchestrator.commands.results_folder import looked_at, tell_open
from orchestrator.configuration.config import CampaignConfig
from orchestrator.contracts import InputError
from orchestrator.endings import ClusterLost, Stopped, ends_the_program
from orchestrator.report.text import printable, trials_counted
from orchestrator.report.trial_names import short_names
from orchestrator.running.executor import Site
from orchestrator.running.pipeline import own_rule, run_trials
from orchestrator.running.plan import Plan
from orchestrator.running.signals import handled_by, heed_signals, leave_word, received, say_last_words, stop_at_once
from orchestrator.stats.stopping import StoppingRule
from orchestrator.storage.records import CampaignRecord, CapacityQuestion, Fault, Pairing, PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.digests import code_files, digest_code

REPORTED = "reported"
"""An interrupt reported to the user."""
SAME_SIGNAL_S = 0.5
More = Callable[[Progress], Sequence[PlannedTrial]]
"""Plans further trials from what is stored, and returns them; none where there is nothing more to measure."""


def execute(options: Composing) -> int:
    """Run the campaign that the command line describes. Returns the exit code."""
    with Progress(0, None if options.quiet else sys.stderr) as waiting:
        composed = compose_campaign(options, waiting.say)
    with open_site(composed.campaign, composed.trials) as site:
        site.begin()
        return run_planned(options, composed, plan_on(site, composed), site)


def run_planned(options: Composing, composed: Composed, plan: Plan, site: Site) -> int:
    """Record what was planned and run it. Returns the exit code."""
    campaign, composition = composed.campaign, composed.composition
    infeasible = plan.infeasible
    if infeasible and not options.skip_infeasible:
        raise InputError(
            f"{len(infeasible)} of {len(plan.trials)} trials cannot run here, first {infeasible[0].trial_id}: {infeasible[0].reason}; "
            "change the plan or add --skip-infeasible"
        )
    runnable = [planned for planned in plan.trials if planned.state == "planned"]
    if not runnable:
        raise InputError(f"none of {len(plan.trials)} trials can run here, first {plan.trials[0].trial_id}: {plan.trials[0].reason}")
    record = record_of(options.command, composed, plan)
    directory = results_directory(campaign, composition.name)
    heed_signals()
    with Progress(0, None if options.quiet else sys.stderr) as progress:
        for line in plan.parts:
            progress.say(line)
    with CampaignWriter.create(directory, record, latest=campaign.results_dir is None, look=looked_at(options.trust)) as writer:
        return measure(writer, campaign, runnable, options.quiet, site, full=options.full)


def record_of(
    command: tuple[str, ...], composed: Composed, plan: Plan, pairing: Pairing | None = None, capacity: CapacityQuestion | None = None
) -> CampaignRecord:
    """Return the record of a campaign that was planned and is not begun.

    ``pairing`` is that of one side of `compare --run`, ``capacity`` what `capacity` was asked.
    """
    campaign = composed.campaign
    return CampaignRecord(
        code_version=orchestrator.__version__,
        code_digest=digest_code(campaign.code),
        code_files=code_files(campaign.code),
        name=composed.composition.name,
        command=command,
        sweep=composed.composition.sweep,
        config=campaign,
        trials=plan.trials,
        left_out=plan.left_out,
        pairing=pairing,
        capacity=capacity,
    )


def measure(
    writer: CampaignWriter,
    campaign: CampaignConfig,
    runnable: list[PlannedTrial],
    quiet: bool,
    site: Site,
    rule_of: Callable[[PlannedTrial, str | None], StoppingRule] = own_rule,
    full: bool = False,
    more: More | None = None,
) -> int:
    """Run trials of a campaign whose record is written, then report. Returns the exit code.

    ``rule_of`` gives the stopping rule of a trial with the primary threshold. ``more`` is asked for further trials, each time that all are
    done, until it has none.
    """
    tell_open(writer.record.open_to)
    stop = threading.Event()
    with ExitStack() as signals, Progress(len(runnable), None if quiet else sys.stderr, short_names(runnable)) as progress:
        progress.say(f"{trials_counted(len(runnable))} into {writer.directory}")
        leave_word(printable(f"stopped at once; {_how_to_go_on(writer)}"))
        try:
            with site.executor() as executor:
                # Until the report is written. While Ray starts there is no round to finish, and one signal is enough.
                signals.enter_context(stop_on_signals(stop, progress))
                try:
                    batch: Sequence[PlannedTrial] = runnable
                    while batch or more is not None:
                        run_trials(batch, executor, writer, progress, stop, campaign.analysis.primary, rule_of)
                        batch = () if more is None or stop.is_set() else more(progress)
                        more = more if batch else None
                except KeyboardInterrupt as interrupt:
                    if not ends_the_program(interrupt):
                        raise
                    _stopped_at_once(writer, progress)  # before Ray ends, which may take a while
                    raise Stopped(REPORTED) from None
            writer.look_after()
            heed_signals()
            reported = write_report(writer.directory, campaign.analysis, full)
            writer.look_after()
        except KeyboardInterrupt as interrupt:
            if REPORTED not in interrupt.args and ends_the_program(interrupt):
                _stopped_at_once(writer, progress)
            raise
        except ClusterLost as lost:
            keep_losses(writer, str(lost))
            print(printable(f"error: {lost}; {_how_to_go_on(writer)}"), file=sys.stderr)  # noqa: T201
            return 1 if received() is None else 130
        except OSError as error:
            if error.errno is None:
                raise
            gone = writer.gone()
            with suppress(OSError):  # the disk is still full: one message is enough
                writer.close()
            where = error.filename or writer.directory
            message = f"{where}: {error.strerror}; what was stored before is whole: mend it, and {_how_to_go_on(writer)}"
            print(printable(f"error: {gone or message}"), file=sys.stderr)  # noqa: T201
            return 1
    states = {planned.state for planned in writer.record.trials}
    if stop.is_set() or received() is not None:
        unfinished = states & {"planned", "interrupted"}
        how = f"interrupted; {_how_to_go_on(writer)}" if unfinished else "interrupted when all was measured and reported"
        print(printable(how), file=sys.stderr)  # noqa: T201
        return 130
    return 1 if states - {"done"} else reported


def _stopped_at_once(writer: CampaignWriter, progress: Progress) -> None:
    progress.fall_silent()
    mark_interrupted(writer)
    say_last_words()


def _how_to_go_on(writer: CampaignWriter) -> str:
    return f"go on with: python -m orchestrator resume {shlex.quote(str(writer.directory))}"


def mark_interrupted(writer: CampaignWriter) -> None:
    """Give the trials under way the state in which they ended."""
    for planned in writer.record.trials:
        if planned.state == "running":
            writer.set_state(planned.trial_id, "interrupted", "stopped at once by the user")


def keep_losses(writer: CampaignWriter, message: str) -> None:
    """Record in the trials under way that a round in flight was lost with its Ray; it is measured again under its number."""
    for planned in writer.record.trials:
        record = writer.read_trial(planned.trial_id) if planned.state == "running" else None
        if record is None:
            continue
        of_trial = writer.trial(planned.trial_id)
        fault = Fault(name="ray lost", message=message, process=max(0, len(record.processes) - 1), round=of_trial.rounds)
        of_trial.flush()
        of_trial.write_record(record.model_copy(update={"faults": (*record.faults, fault)}))
        writer.set_state(planned.trial_id, "interrupted", message)


def results_directory(campaign: CampaignConfig, name: str) -> Path:
    """Return the campaign's folder: the user's, or a new one named after the time."""
    if campaign.results_dir is not None:
        return Path(campaign.results_dir).expanduser()
    return Path("results") / name / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


@contextmanager
def stop_on_signals(stop: threading.Event, progress: Progress) -> Iterator[None]:
    """Finish the round and stop at the first Ctrl-C, SIGTERM or SIGHUP; stop at once at the second.

    A program such as ``timeout`` signals the process and its group within milliseconds: they count as one.
    """
    asked, first_s = False, math.inf

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked, first_s
        if asked:  # not the event: it may be the one that is being set, which waits for itself if it is set again meanwhile
            if time.monotonic() - first_s < SAME_SIGNAL_S:
                return
            stop_at_once(number, frame)
        asked = True
        first_s = time.monotonic()
        stop.set()
        with suppress(OSError, RuntimeError):  # the terminal is gone, or a line is being written this very moment
            progress.say(f"{signal.Signals(number).name}: finishing the round, then stopping; once more to stop at once")

    with handled_by(on_signal):
        yield
