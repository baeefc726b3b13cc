"""``compare --run A B``: measure both sides in adjacent pairs of fresh processes, in random order, each side an ordinary campaign.

Repeat j of a trial of A and repeat j of its partner of B run one right after the other, so that what the machine does in the course of an
hour strikes both alike. The same words with the same folder go on where an interruption came.
"""

import random
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import yaml

from orchestrator.commands import line
from orchestrator.commands.measuring import (
    keep_losses,
    list_changes,
    looked_at,
    mark_interrupted,
    record_of,
    stop_on_signals,
    tell,
    tell_open,
)
from orchestrator.commands.planning import Composed, compose_campaign, open_site, plan_on
from orchestrator.commands.progress import Progress
from orchestrator.commands.reading import store_report
from orchestrator.compare.sides import partners
from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, first_line
from orchestrator.endings import ClusterLost
from orchestrator.report.text import printable
from orchestrator.running.executor import Executor, Site
from orchestrator.running.pipeline import run_trials
from orchestrator.running.plan import Plan
from orchestrator.running.signals import heed_signals, leave_word, received, say_last_words
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.load import read_regular
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, Pairing, PlannedTrial
from orchestrator.storage.schema import UNFINISHED
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.targets import add_code_folders, code_of_its_own

OURS = ("measurement.repeat", "results_dir")
"""Keys that this command gives itself."""
COMPOSING = ("overrides", "multirun", "config_dirs", "many", "quiet")
YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class PairedRun:
    """What ``compare --run`` measures in pairs.

    sides
        A and B: a file of overrides, a folder of code, or overrides in one word.
    overrides
        ``KEY=VALUE`` that both sides have.
    pairs
        of processes for each trial.
    folder
        of both campaigns, ``a`` and ``b``; None is a new one named after the time.
    """

    sides: tuple[str, str]
    overrides: tuple[str, ...]
    pairs: int
    folder: Path | None = None
    multirun: bool = False
    config_dirs: tuple[Path, ...] = ()
    quiet: bool = False


@dataclass(frozen=True)
class Composing:
    """A command line of ``run``: its words, and what composing takes of them."""

    command: tuple[str, ...]
    asked: Mapping[str, Any]


@dataclass(frozen=True)
class Side:
    """One side, planned, with its campaign open for writing."""

    composed: Composed
    plan: Plan
    writer: CampaignWriter

    def state(self, planned: PlannedTrial) -> str:
        """Return how far a trial has come."""
        return self.writer.record.planned(planned.trial_id).state


@dataclass(frozen=True)
class Measured:
    """Both sides as they were left.

    folder
        where their campaigns are.
    ended
        the exit code where something ended it before the end: 130 for a signal, 1 for a Ray that died; else None.
    broken
        one line for each trial that is not done, and for whatever others did to the folders.
    """

    folder: Path
    ended: int | None = None
    broken: tuple[str, ...] = ()


def words_of(side: str) -> tuple[str, ...]:
    """Return what one would type for ``run`` to measure a side.

    A folder is one of code. A YAML file holds a list of words, or keys each with its value as one would type it after ``=``. Anything else
    is taken apart as a shell would do it.

    Raises
    ------
    InputError
        for a file that is not there, or holds anything else.
    """
    path = Path(side).expanduser()
    if not side.strip():
        raise InputError("a side of --run is empty: name a file of overrides, a folder of code, or overrides in quotes")
    if "=" not in side and path.is_dir():
        return (f"code=[{path.absolute()}]",)
    if path.suffix not in YAML or "=" in side:
        try:
            return tuple(shlex.split(side))
        except ValueError as error:
            raise InputError(f"{side}: cannot be taken apart ({error}): close the quotes") from error
    try:
        text = read_regular(path).decode()
        document = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise InputError(f"{side}: there is no such file; name a file of overrides, or write them in quotes") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{side}: is no YAML ({first_line(error)}): repair it") from error
    if isinstance(document, list) and all(isinstance(word, str) for word in document):
        return tuple(document)
    if isinstance(document, dict) and all(isinstance(value, str | int | float | bool | None) for value in document.values()):
        return tuple(f"{key}={_typed(value)}" for key, value in document.items())
    raise InputError(f"{side}: must hold keys with values as one would type them after =, or a list of words: write lists as text")


def _typed(value: str | float | bool | None) -> str:
    plain = {None: "null", True: "true", False: "false"}
    return plain[value] if value is None or isinstance(value, bool) else str(value)


def composing_of(run: PairedRun) -> list[Composing]:
    """Return both sides as command lines of ``run``. Raises InputError for words that are not one, and keys that are given here."""
    found = []
    for side in run.sides:
        options = [*(["--multirun"] if run.multirun else []), *(f"--config-dir={path}" for path in run.config_dirs)]
        words = (*words_of(side), *run.overrides, *options, *(["--quiet"] if run.quiet else []))
        for word in words:
            if word.lstrip("+").partition("=")[0] in OURS:
                remedy = "say how many with --pairs" if word.startswith("measurement") else "name the folder with --to"
                raise InputError(f"{word}: --run gives this key itself; leave it out, and {remedy}")
        command = (*words, f"measurement.repeat={run.pairs}")
        asked = line.read("run", command)
        if asked["cfg"] or asked["info"]:
            raise InputError(f"{side}: --cfg and --info measure nothing: leave them out")
        found.append(Composing(command, {name: asked[name] for name in COMPOSING}))
    return found


def measure_pairs(run: PairedRun, gate: bool = False) -> Measured:
    """Measure what the pairs lack, and report each side. With ``gate``, sides of which nothing differs are a mistake.

    Raises
    ------
    InputError
        for any mistake, and where the folder holds a campaign of other words, or its code, data or host have changed.
    """
    _refuse_code_of_both(run)
    folder = (run.folder or Path("results") / "compare" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")).expanduser()
    stop = threading.Event()
    with ExitStack() as stack:
        identity = next((found.id for name in ("a", "b") if (found := _pairing(folder / name)) is not None), uuid4().hex)
        planned = [planned_side(one, Pairing(id=identity, side=name)) for one, name in zip(composing_of(run), SIDES, strict=True)]
        if gate:
            _refuse_equal(*(record for *_, record in planned))
        a, b = (stack.enter_context(opened(one, folder / name)) for one, name in zip(planned, SIDES, strict=True))
        pairs = _pairs(a, b)
        steps = [step for pair in _in_random_order(pairs, identity) for step in pair if step[0].state(step[1]) in UNFINISHED]
        progress = stack.enter_context(Progress(len(steps), None if run.quiet else sys.stderr))
        progress.say(f"{len(steps)} of {2 * len(pairs)} processes in pairs into {folder}")
        leave_word(printable(f"stopped at once; {_how_to_go_on(folder)}"))
        try:
            _measure(steps, (a, b), progress, stop)
            heed_signals()
        except KeyboardInterrupt:
            progress.fall_silent()
            for side in (a, b):
                mark_interrupted(side.writer)
            say_last_words()
            raise
        except ClusterLost as lost:
            for side in (a, b):
                keep_losses(side.writer, str(lost))
            tell(f"{lost}; {_how_to_go_on(folder)}")
            return Measured(folder, 1 if received() is None else 130)
        if not stop.is_set():
            for side in (a, b):
                side.writer.look_after()
                store_report(side.writer.directory, side.composed.campaign.analysis)
                side.writer.look_after()
        broken = tuple(told for side in (a, b) for told in not_done(side.writer.record))
    if stop.is_set():
        tell(f"interrupted; {_how_to_go_on(folder)}")
    return Measured(folder, 130 if stop.is_set() else None, broken)


def not_done(record: CampaignRecord) -> list[str]:
    """Return for each trial of a side that is not done which it is and why."""
    assert record.pairing is not None
    unfinished = [planned for planned in record.trials if planned.state != "done"]
    return [f"side {record.pairing.side}: {one.trial_id} {one.state}: {one.reason or 'no reason is stored'}" for one in unfinished]


SIDES: tuple[Literal["a"], Literal["b"]] = ("a", "b")
Step = tuple[Side, PlannedTrial]


def _refuse_code_of_both(run: PairedRun) -> None:
    """Raise InputError where a side is a folder of code and another one is given for both, which would be that of either side."""
    folders = [side for side in run.sides if words_of(side)[:1] == (f"code=[{Path(side).expanduser().absolute()}]",)]
    given = [word for word in run.overrides if word.lstrip("+").partition("=")[0] == "code"]
    if folders and given:
        raise InputError(f"{given[0]}: both sides would run this code, and {folders[0]} is a folder of code: leave it out")


def _refuse_equal(a: CampaignRecord, b: CampaignRecord) -> None:
    """Raise InputError where two sides have the same code, weights, data and settings."""
    keys = [[planned.trial_id for planned in record.trials] for record in (a, b)]
    if keys[0] == keys[1] and a.code_digest == b.code_digest:
        raise InputError("A and B are the same code, weights and settings: give B another folder of code or other settings")


def planned_side(composing: Composing, pairing: Pairing) -> tuple[Composed, Plan, CampaignRecord]:
    """Compose and plan one side, with its own code. Raises InputError for a trial that cannot run here."""
    with code_of_its_own():
        composed = compose_campaign(**composing.asked)
        with open_site(composed.campaign, composed.trials) as site:
            plan = plan_on(site, composed)
        if plan.infeasible:
            raise InputError(f"{plan.infeasible[0].trial_id} cannot run here: {plan.infeasible[0].reason}; change the plan")
        return composed, plan, record_of(composing.command, composed, plan, pairing)


@contextmanager
def opened(planned: tuple[Composed, Plan, CampaignRecord], directory: Path) -> Iterator[Side]:
    """Open the campaign of one side, a new one where there is none."""
    composed, plan, record = planned
    is_there = (directory / CAMPAIGN).exists()
    heed_signals()
    look = looked_at(trust=False, remedy="name a folder of your own with --to")
    with CampaignWriter.reopen(directory, look=look) if is_there else CampaignWriter.create(directory, record, look=look) as writer:
        tell_open(writer.record.open_to)
        if is_there:
            with code_of_its_own():
                add_code_folders(composed.campaign.code)
                with open_site(composed.campaign, composed.trials) as site:
                    _refuse_another(writer, composed, plan, site)
        yield Side(composed, plan, writer)


def _refuse_another(writer: CampaignWriter, composed: Composed, plan: Plan, site: Site) -> None:
    """Raise InputError where a campaign that is there has other trials, or what it runs has changed."""
    stored = writer.record.trials
    if [planned.trial_id for planned in stored] != [planned.trial_id for planned in plan.trials]:
        raise InputError(f"{writer.directory} holds a campaign of other words: measure into another folder (--to)")
    unfinished = [planned for planned in stored if planned.state in UNFINISHED]
    for changed in list_changes(writer, composed.campaign, unfinished, site).values():
        if changed:
            raise InputError(f"{changed[0]}: measure into another folder (--to)")


def _pairing(directory: Path) -> Pairing | None:
    return open_campaign(directory).record.pairing if (directory / CAMPAIGN).exists() else None


def _pairs(a: Side, b: Side) -> list[tuple[Step, Step]]:
    """Return the trials that belong together, repeat by repeat: those of equal settings, else the first and the first, and so on."""
    mine, theirs = (list(side.plan.trials) for side in (a, b))
    if len(mine) != len(theirs):
        raise InputError(f"A has {len(mine)} trials and B {len(theirs)}: both sides must have as many, so that each has a partner")
    places = {(planned.match_key, planned.trial.repeat): planned for planned in theirs}
    partner = partners([planned.match_key for planned in mine], [planned.match_key for planned in theirs])
    found = [((a, planned), (b, places[partner[planned.match_key], planned.trial.repeat])) for planned in mine]
    return sorted(found, key=lambda pair: pair[0][1].trial.repeat)


def _in_random_order(pairs: Sequence[tuple[Step, Step]], identity: str) -> Iterator[Sequence[Step]]:
    """Yield each pair with one side or the other first, in an order that the campaigns' common id gives."""
    source = random.Random(identity)  # noqa: S311 - no secret
    for pair in pairs:
        yield pair[::-1] if source.random() < 0.5 else pair


def _measure(steps: Sequence[Step], sides: tuple[Side, Side], progress: Progress, stop: threading.Event) -> None:
    """Run one process after the other until the end or a signal. Sides with one code share one Ray."""
    a, b = (side.composed.campaign for side in sides)
    shared = a.code == b.code and a.cluster == b.cluster
    every = [trial for side in sides for trial in side.composed.trials]
    with executor_of(sides[0], every) if shared and steps else nullcontext() as common:
        for side, planned in steps:
            if stop.is_set():
                return
            with nullcontext(common) if common is not None else executor_of(side, side.composed.trials) as executor:
                side.writer.set_state(planned.trial_id, "planned", None)
                with stop_on_signals(stop, progress):
                    run_trials([planned], executor, side.writer, progress, stop, side.composed.campaign.analysis.primary)


@contextmanager
def executor_of(side: Side, trials: Sequence[Trial]) -> Iterator[Executor]:
    """Yield the executor over the machines of a side's campaign, with its own code."""
    with code_of_its_own():
        add_code_folders(side.composed.campaign.code)
        with open_site(side.composed.campaign, trials) as site, site.executor() as executor:
            yield executor


def _how_to_go_on(folder: Path) -> str:
    return f"go on with the same words and --to {folder}"
