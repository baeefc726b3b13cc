"""What the verbs that measure share: a results folder nobody else changes, the record of a plan, and running and reporting it."""

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
from orchestrator.commands.planning import Composed, look_at
from orchestrator.commands.progress import Progress
from orchestrator.configuration.config import CampaignConfig
from orchestrator.configuration.environment_values import variables_in
from orchestrator.contracts import InputError
from orchestrator.endings import ClusterLost, ends_the_program
from orchestrator.machine.other_users import open_places
from orchestrator.report.text import printable, trials_counted
from orchestrator.report.trial_names import short_names
from orchestrator.running.executor import Site
from orchestrator.running.identity import match_key
from orchestrator.running.pipeline import own_rule, run_trials
from orchestrator.running.plan import NOWHERE, Plan
from orchestrator.running.signals import handled_by, heed_signals, leave_word, received, say_last_words, stop_at_once
from orchestrator.stats.stopping import StoppingRule, make_rule
from orchestrator.storage.records import CampaignRecord, CapacityQuestion, Fault, Pairing, PlannedTrial
from orchestrator.storage.schema import UNFINISHED
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.digests import code_files, digest_code

FILES_NAMED = 5
SAME_SIGNAL_S = 0.5
# Plans further trials from what is stored, and returns them; none where there is nothing more to measure
More = Callable[[Progress], Sequence[PlannedTrial]]


OWN_FOLDER = "name a folder of your own with results_dir="


def tell(message: str) -> None:
    """Say something on stderr, in one line."""
    print(printable(message), file=sys.stderr)  # noqa: T201


def looked_at(trust: bool, remedy: str = f"{OWN_FOLDER}, or add --trust") -> Callable[[Path, bool], tuple[str, ...]]:
    """Return what looks at a results folder: it says in words who else could change it, for the campaign's record.

    It raises InputError with the remedy for a folder of another user, or one that every user can write, unless the user trusts them.
    """

    def look(directory: Path, made: bool) -> tuple[str, ...]:
        found = open_places(directory, made)
        if found and found[0].refused and not trust:
            raise InputError(f"{_first([one.told for one in found])}: others could replace what is measured there; {remedy}", "unsafe")
        return tuple(one.told for one in found)

    return look


def tell_open(open_to: tuple[str, ...]) -> None:
    """Say who else could change the results; nothing where nobody could."""
    if open_to:
        tell(f"{_first(open_to)}: others could replace what is measured there; campaign.json and the report note this")


def _first(told: Sequence[str]) -> str:
    more = f" (and {len(told) - 1} more on the way to it)" if len(told) > 1 else ""
    return f"{told[0]}{more}"


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


def begun(record: CampaignRecord, trust: bool) -> CampaignWriter:
    """Make the folder of a campaign: the user's, or a new one named after the time."""
    heed_signals()
    directory, latest = results_directory(record.config, record.name), record.config.results_dir is None
    return CampaignWriter.create(directory, record, latest=latest, look=looked_at(trust))


def measure(
    writer: CampaignWriter,
    runnable: Sequence[PlannedTrial],
    site: Site,
    quiet: bool,
    full: bool,
    rule_of: Callable[[PlannedTrial, str | None], StoppingRule] = own_rule,
    more: More | None = None,
    said: Sequence[str] = (),
) -> int:
    """Run trials of a campaign whose record is written, then report. Returns the exit code.

    ``rule_of`` gives the stopping rule of a trial with the primary threshold. ``more`` is asked for further trials, each time that all are
    done, until it has none. ``said`` is said first.
    """
    tell_open(writer.record.open_to)
    analysis = writer.record.config.analysis

    def work(progress: Progress, stop: threading.Event) -> int:
        progress.add(runnable, short_names(runnable, settings=True))
        for line in [*said, f"{trials_counted(len(runnable))} into {writer.directory}"]:
            progress.say(line)
        with ExitStack() as signals:
            with site.executor() as executor, marked_when_stopped([writer], progress):
                # Until the report is written. While Ray starts there is no round to finish, and one signal is enough.
                signals.enter_context(stop_on_signals(stop, progress))
                run_trials(runnable, executor, writer, progress, stop, analysis.primary, rule_of)
                while more is not None and not stop.is_set() and (further := more(progress)):
                    run_trials(further, executor, writer, progress, stop, analysis.primary, rule_of)
            writer.look_after()
            heed_signals()
            from orchestrator.commands.reading import write_report  # not before all is measured: it imports what draws and writes

            reported = write_report(writer.directory, analysis, full)
            writer.look_after()
        return 1 if any(planned.state != "done" for planned in writer.record.trials) else reported

    go_on = f"go on with: python -m orchestrator resume {shlex.quote(str(writer.directory))}"
    return guarded(work, [writer], go_on, quiet, writer.record.config.minutes)


def guarded(
    work: Callable[[Progress, threading.Event], int],
    writers: Sequence[CampaignWriter],
    go_on: str,
    quiet: bool,
    minutes: float | None = None,
) -> int:
    """Do what measures campaigns, and say how to go on where a signal, a lost Ray or a full disk ends it. Returns the exit code."""
    stop = threading.Event()
    with Progress(0, None if quiet else sys.stderr, minutes=minutes) as progress:
        leave_word(printable(f"stopped at once; {go_on}"))
        try:
            with marked_when_stopped(writers, progress):
                code = work(progress, stop)
        except ClusterLost as lost:
            for writer in writers:
                keep_losses(writer, str(lost))
            tell(f"error: {lost}; {go_on}")
            return 1 if received() is None else 130
        except OSError as error:
            if error.errno is None:
                raise
            gone = next(filter(None, (writer.gone() for writer in writers)), None)
            for writer in writers:
                with suppress(OSError):  # the disk is still full: one message is enough
                    writer.close()
            where = error.filename or writers[0].directory
            tell(f"error: {gone or f'{where}: {error.strerror}; what was stored before is whole: mend it, and {go_on}'}")
            return 1
    if stop.is_set() or received() is not None:
        unfinished = any(planned.state in UNFINISHED for writer in writers for planned in writer.record.trials)
        tell(f"interrupted; {go_on}" if unfinished else "interrupted when all was measured and reported")
        return 130
    return code


@contextmanager
def marked_when_stopped(writers: Sequence[CampaignWriter], progress: Progress) -> Iterator[None]:
    """Give the trials under way the state in which they ended where the program is stopped at once, and say how to go on."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if ends_the_program(interrupt):
            progress.fall_silent()
            for writer in writers:
                for planned in writer.record.trials:
                    if planned.state == "running":
                        writer.set_state(planned.trial_id, "interrupted", "stopped at once by the user")
            say_last_words()
        raise


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
    first_s: float | None = None

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal first_s
        if first_s is not None:  # not the event: it may be the one that is being set, which waits for itself if it is set again meanwhile
            if time.monotonic() - first_s < SAME_SIGNAL_S:
                return
            stop_at_once(number, frame)
        first_s = time.monotonic()
        stop.set()
        with suppress(OSError, RuntimeError):  # the terminal is gone, or a line is being written this very moment
            progress.say(f"{signal.Signals(number).name}: finishing the round, then stopping; once more to stop at once")

    with handled_by(on_signal):
        yield


def list_changes(writer: CampaignWriter, campaign: CampaignConfig, chosen: Sequence[PlannedTrial], site: Site) -> dict[str, list[str]]:
    """Return per trial, one line each, what has changed since the campaign was begun: code, data, weights, host.

    Raises
    ------
    InputError
        if a trial has no machine or lacks its model or data.
    """
    of_code = _code_changes(writer.record, campaign)
    changes = {planned.trial_id: [*of_code] for planned in chosen}
    for planned, candidate in zip(chosen, look_at(site, [(planned.trial, "") for planned in chosen]), strict=True):
        if candidate.machine is NOWHERE or candidate.missing:
            raise InputError(f"{planned.trial_id}: {candidate.missing[0]}", "unsupported")
        if match_key(candidate.trial, candidate.inspection) != planned.match_key:
            variables = variables_in(planned.trial)
            what = f"data, weights or environment variables ({', '.join(variables)})" if variables else "data or weights"
            changes[planned.trial_id].append(f"the {what} of {planned.trial_id} have changed since the campaign was begun")
        stored = writer.read_trial(planned.trial_id)
        known = {process.host for process in stored.processes} if stored is not None else set()
        if known and candidate.machine.host not in known:
            changes[planned.trial_id].append(
                f"{planned.trial_id} was measured on {', '.join(sorted(known))} and would go on on {candidate.machine.host}"
            )
    return changes


def _code_changes(record: CampaignRecord, campaign: CampaignConfig) -> list[str]:
    """Return one line where code that measures has changed, or none."""
    message = f"the code has changed since the campaign was begun with version {record.code_version}"
    if not all(name.endswith(".py") for name in record.code_files) or not record.code_files:  # until 0.2.0 by module, or one digest of all
        same = record.code_digest in (None, digest_code(campaign.code))
        return [] if same else [f"{message}, which identified code in another way"]
    now = code_files(campaign.code)
    changed = [name for name in sorted({*now, *record.code_files}) if now.get(name) != record.code_files.get(name)]
    more = f" and {len(changed) - FILES_NAMED} more" if len(changed) > FILES_NAMED else ""
    return [f"{message}: {', '.join(changed[:FILES_NAMED])}{more}"] if changed else []


def rule_of_extension(writer: CampaignWriter, planned: PlannedTrial, primary: str | None) -> StoppingRule:
    """Return the rule of a trial: its own, or the number of rounds at which its extension ends."""
    stored = writer.read_trial(planned.trial_id)
    until = None if stored is None else stored.extension
    if until is None:
        return own_rule(planned, primary)
    return make_rule("rounds", min_rounds=until, max_rounds=until, primary=primary)
