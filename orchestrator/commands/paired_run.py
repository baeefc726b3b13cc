"""``compare --run A B``: measure both sides in adjacent pairs of fresh processes, in random order, each side an ordinary campaign.

Repeat j of a trial of A and repeat j of its partner of B run one right after the other, so that what the machine does in the course of an
hour strikes both alike. The same words with the same folder go on where an interruption came.
"""

import json
import random
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
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
from orchestrator.running.executor import Executor
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

# Keys that this command gives itself, and what gives them here.
OURS = {"measurement.repeat": "say how many with --pairs", "results_dir": "name the folder with --to"}
COMPOSING = ("overrides", "multirun", "config_dirs", "many", "quiet")
SIDES: tuple[Literal["a"], Literal["b"]] = ("a", "b")


@dataclass(frozen=True)
class Side:
    """One side, planned, with its campaign open for writing."""

    composed: Composed
    plan: Plan
    writer: CampaignWriter


Step = tuple[Side, PlannedTrial]


def words_of(side: str) -> tuple[str, ...]:
    """Return what one would type for ``run`` to measure a side.

    A folder is one of code. A YAML file holds a list of words, or keys each with its value as one would type it after ``=``. Anything else
    is taken apart as a shell would do it. Raises InputError for a file that is not there, or holds anything else.
    """
    path = Path(side).expanduser()
    if not side.strip():
        raise InputError("a side of --run is empty: name a file of overrides, a folder of code, or overrides in quotes")
    if "=" not in side and path.is_dir():
        return (f"code=[{path.absolute()}]",)
    if path.suffix not in (".yaml", ".yml") or "=" in side:
        try:
            return tuple(shlex.split(side))
        except ValueError as error:
            raise InputError(f"{side}: cannot be taken apart ({error}): close the quotes") from error
    try:
        document = yaml.safe_load(read_regular(path))
    except FileNotFoundError as error:
        raise InputError(f"{side}: there is no such file; name a file of overrides, or write them in quotes") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{side}: is no YAML ({first_line(error)}): repair it") from error
    if isinstance(document, list) and all(isinstance(word, str) for word in document):
        return tuple(document)
    if isinstance(document, dict) and all(isinstance(value, str | int | float | None) for value in document.values()):
        return tuple(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in document.items())
    raise InputError(f"{side}: must hold keys with values as one would type them after =, or a list of words: write lists as text")


def composing_of(sides: Sequence[str], words: Sequence[str], pairs: int) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield each side as a command line of ``run``: its words, and what composing takes of them; ``words`` are those of both.

    Raises InputError for words that are not one, for keys that are given here, and for code that would be that of either side.
    """
    own = {side: words_of(side) for side in sides}
    code = next((word for word in words if word.lstrip("+").partition("=")[0] == "code"), None)
    folder = next((side for side in sides if "=" not in side and own[side][:1] == (f"code=[{Path(side).expanduser().absolute()}]",)), None)
    if code and folder:
        raise InputError(f"{code}: both sides would run this code, and {folder} is a folder of code: leave it out")
    for side in sides:
        command = (*own[side], *words, f"measurement.repeat={pairs}")
        for word in command[:-1]:
            if remedy := OURS.get(word.lstrip("+").partition("=")[0]):
                raise InputError(f"{word}: --run gives this key itself; leave it out, and {remedy}")
        asked = line.read("run", command)
        if asked["cfg"] or asked["info"]:
            raise InputError(f"{side}: --cfg and --info measure nothing: leave them out")
        yield command, {name: asked[name] for name in COMPOSING}


def measure_pairs(sides: Sequence[str], words: Sequence[str], pairs: int, folder: Path, quiet: bool, gate: bool) -> int | list[str]:
    """Measure what the pairs lack, and report each side. With ``gate``, sides of which nothing differs are a mistake.

    Returns one line for each trial that is not done; or the exit code where something ended it before the end: 130 for a signal, 1 for a
    Ray that died. Raises InputError for any mistake, and where the folder holds a campaign of other words, or its code, data or host have
    changed.
    """
    stop, how_to_go_on = threading.Event(), f"go on with the same words and --to {folder}"
    with ExitStack() as stack:
        begun = [open_campaign(folder / name).record.pairing for name in SIDES if (folder / name / CAMPAIGN).exists()]
        identity = next((pairing.id for pairing in begun if pairing is not None), uuid4().hex)
        composing = [*composing_of(sides, words, pairs)]
        planned = [planned_side(*one, Pairing(id=identity, side=name)) for one, name in zip(composing, SIDES, strict=True)]
        keys = [([one.trial_id for one in record.trials], record.code_digest) for *_, record in planned]
        if gate and keys[0] == keys[1]:
            raise InputError("A and B are the same code, weights and settings: give B another folder of code or other settings")
        both = a, b = [stack.enter_context(opened(*one, folder / name)) for one, name in zip(planned, SIDES, strict=True)]
        matched, draw = _pairs(a, b), random.Random(identity)  # noqa: S311 - no secret
        ordered = [step for pair in matched for step in (pair[::-1] if draw.random() < 0.5 else pair)]
        steps = [(side, one) for side, one in ordered if side.writer.record.planned(one.trial_id).state in UNFINISHED]
        progress = stack.enter_context(Progress(len(steps), None if quiet else sys.stderr))
        progress.say(f"{len(steps)} of {2 * len(matched)} processes in pairs into {folder}")
        leave_word(printable(f"stopped at once; {how_to_go_on}"))
        try:
            _measure(steps, a, b, progress, stop)
            heed_signals()
        except KeyboardInterrupt:
            progress.fall_silent()
            for side in both:
                mark_interrupted(side.writer)
            say_last_words()
            raise
        except ClusterLost as lost:
            for side in both:
                keep_losses(side.writer, str(lost))
            tell(f"{lost}; {how_to_go_on}")
            return 1 if received() is None else 130
        if stop.is_set():
            progress.fall_silent()
            tell(f"interrupted; {how_to_go_on}")
            return 130
        for side in both:
            side.writer.look_after()
            store_report(side.writer.directory, side.composed.campaign.analysis)
            side.writer.look_after()
        return [
            f"side {name}: {one.trial_id} {one.state}: {one.reason or 'no reason is stored'}"
            for side, name in zip(both, SIDES, strict=True)
            for one in side.writer.record.trials
            if one.state != "done"
        ]


def planned_side(command: tuple[str, ...], asked: Mapping[str, Any], pairing: Pairing) -> tuple[Composed, Plan, CampaignRecord]:
    """Compose and plan one side, with its own code. Raises InputError for a trial that cannot run here."""
    with code_of_its_own():
        composed = compose_campaign(**asked)
        with open_site(composed.campaign, composed.trials) as site:
            plan = plan_on(site, composed)
        if plan.infeasible:
            raise InputError(f"{plan.infeasible[0].trial_id} cannot run here: {plan.infeasible[0].reason}; change the plan")
        return composed, plan, record_of(command, composed, plan, pairing)


@contextmanager
def opened(composed: Composed, plan: Plan, record: CampaignRecord, directory: Path) -> Iterator[Side]:
    """Open the campaign of one side, a new one where there is none.

    Raises InputError where one that is there has other trials, or what it runs has changed.
    """
    is_there = (directory / CAMPAIGN).exists()
    heed_signals()
    look = looked_at(trust=False, remedy="name a folder of your own with --to")
    with CampaignWriter.reopen(directory, look=look) if is_there else CampaignWriter.create(directory, record, look=look) as writer:
        tell_open(writer.record.open_to)
        stored = writer.record.trials
        if [planned.trial_id for planned in stored] != [planned.trial_id for planned in plan.trials]:
            raise InputError(f"{directory} holds a campaign of other words: measure into another folder (--to)")
        if is_there:
            with code_of_its_own():
                add_code_folders(composed.campaign.code)
                unfinished = [planned for planned in stored if planned.state in UNFINISHED]
                with open_site(composed.campaign, composed.trials) as site:
                    found = list_changes(writer, composed.campaign, unfinished, site).values()
            if changed := next(filter(None, found), None):
                raise InputError(f"{changed[0]}: measure into another folder (--to)")
        yield Side(composed, plan, writer)


def _pairs(a: Side, b: Side) -> list[tuple[Step, Step]]:
    """Return the trials that belong together, repeat by repeat: those of equal settings, else the first and the first, and so on."""
    mine, theirs = (side.plan.trials for side in (a, b))
    if len(mine) != len(theirs):
        raise InputError(f"A has {len(mine)} trials and B {len(theirs)}: both sides must have as many, so that each has a partner")
    places = {(planned.match_key, planned.trial.repeat): planned for planned in theirs}
    partner = partners([planned.match_key for planned in mine], [planned.match_key for planned in theirs])
    found = [((a, planned), (b, places[partner[planned.match_key], planned.trial.repeat])) for planned in mine]
    return sorted(found, key=lambda pair: pair[0][1].trial.repeat)


def _measure(steps: Sequence[Step], a: Side, b: Side, progress: Progress, stop: threading.Event) -> None:
    """Run one process after the other until the end or a signal. Sides with one code share one Ray."""
    shared = all(getattr(a.composed.campaign, block) == getattr(b.composed.campaign, block) for block in ("code", "cluster"))
    with executor_of(a, (*a.composed.trials, *b.composed.trials)) if shared and steps else nullcontext() as common:
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
