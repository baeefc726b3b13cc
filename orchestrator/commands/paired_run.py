"""``compare --run A B``: measure both sides in adjacent pairs of fresh processes, in random order, each side an ordinary campaign.

Repeat j of a trial of A and repeat j of its partner of B run one right after the other, so that what the machine does in the course of an
hour strikes both alike. The same words with the same folder go on where an interruption came.
"""

import json
import random
import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Literal
from uuid import uuid4

import yaml

from orchestrator.commands import line
from orchestrator.commands.measuring import guarded, list_changes, looked_at, marked_when_stopped, record_of, stop_on_signals, tell_open
from orchestrator.commands.planning import compose_campaign, open_site, plan_on
from orchestrator.commands.progress import Progress
from orchestrator.commands.reading import store_report
from orchestrator.compare.sides import partners
from orchestrator.configuration.config import CampaignConfig, Trial
from orchestrator.contracts import InputError, first_line
from orchestrator.running.executor import Executor
from orchestrator.running.pipeline import run_trials
from orchestrator.running.signals import heed_signals
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

# A process to measure, and the campaign that it belongs to.
Step = tuple[CampaignWriter, PlannedTrial]


def words_of(side: str) -> tuple[str, ...]:
    """Return what one would type for ``run`` to measure a side.

    With ``=`` in it, it is taken apart as a shell would do it. A folder is one of code. A YAML file holds a list of words, or keys, each
    with its value as one would type it after ``=``. Raises InputError for a file that is not there, or holds anything else.
    """
    if "=" in side:
        try:
            return tuple(shlex.split(side))
        except ValueError as error:
            raise InputError(f"{side}: cannot be taken apart ({error}): close the quotes") from error
    path = Path(side).expanduser()
    if path.is_dir():
        return (f"code=[{path.absolute()}]",)
    try:
        document = yaml.safe_load(read_regular(path))
    except FileNotFoundError as error:
        raise InputError(
            f"{side}: there is no such folder or file; name one of code or of overrides, or give KEY=VALUE", "not_found", value=side
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{side}: is no YAML ({first_line(error)}): repair it") from error
    if isinstance(document, list) and all(isinstance(word, str) for word in document):
        return tuple(document)
    if isinstance(document, dict) and all(isinstance(value, str | int | float | None) for value in document.values()):
        return tuple(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in document.items())
    raise InputError(f"{side}: must hold keys with values as one would type them after =, or a list of words: write lists as text")


def measure_pairs(sides: Sequence[str], words: Sequence[str], pairs: int, folder: Path, quiet: bool, gate: bool) -> int:
    """Measure what the pairs lack, and report each side. With ``gate``, sides of which nothing differs are a mistake.

    Returns the exit code: 130 for a signal, 1 for a Ray that died or a full disk, else 0. Raises InputError for any mistake, and where the
    folder holds a campaign of other words, or its code, data or host have changed.
    """
    places = [folder / name for name in SIDES]
    begun = [open_campaign(place).record.pairing for place in places if (place / CAMPAIGN).exists()]
    identity = next((pairing.id for pairing in begun if pairing is not None), uuid4().hex)
    commands = [command_of(side, words, pairs) for side in sides]
    try:
        records = [planned_side(command, Pairing(id=identity, side=name)) for command, name in zip(commands, SIDES, strict=True)]
    except InputError as error:
        raise InputError(f"A is {sides[0]}, B is {sides[1]}: {error}") from error
    if gate and (records[0].trials, records[0].code_digest) == (records[1].trials, records[1].code_digest):
        raise InputError("A and B are the same code, weights and settings: give B another folder of code or other settings", "incomparable")
    matched = _pairs(*(record.trials for record in records))
    with ExitStack() as stack:
        writers = [stack.enter_context(opened(record, place)) for record, place in zip(records, places, strict=True)]
        draw = random.Random(identity)  # noqa: S311 - no secret
        ordered = [step for pair in matched for step in [*zip(writers, pair, strict=True)][:: -1 if draw.random() < 0.5 else 1]]
        stored = [(writer, writer.record.planned(one.trial_id)) for writer, one in ordered]
        steps = [(writer, one) for writer, one in stored if one.state in UNFINISHED]

        def work(progress: Progress, stop: threading.Event) -> int:
            progress.add([one for _, one in steps], {})
            progress.say(f"{len(steps)} of {2 * len(matched)} trials in pairs into {folder}")
            _measure(steps, records, progress, stop)
            heed_signals()
            for writer in [] if stop.is_set() else writers:
                writer.look_after()
                store_report(writer.directory, writer.record.config.analysis)
                writer.look_after()
            return 0

        return guarded(work, writers, f"go on with the same words and --to {folder}", quiet)


def command_of(side: str, words: Sequence[str], pairs: int) -> tuple[str, ...]:
    """Return a side as words of ``run``; ``words`` are those of both.

    The side's own come last: where both give a key, such as ``code``, that of the side counts. Raises InputError for keys given here.
    """
    command = (*words, *words_of(side))
    for word in command:
        if remedy := OURS.get(word.lstrip("+").partition("=")[0]):
            raise InputError(f"{word}: --run gives this key itself; leave it out, and {remedy}", "conflict", word)
    return (*command, f"measurement.repeat={pairs}")


def planned_side(command: tuple[str, ...], pairing: Pairing) -> CampaignRecord:
    """Compose and plan one side, with its own code. Raises InputError for a mistake, and for a trial that cannot run here."""
    asked = line.read("run", command)
    with code_of_its_own():
        composed = compose_campaign(**{name: asked[name] for name in COMPOSING})
        with open_site(composed.campaign, composed.trials, only_look=True) as site:
            plan = plan_on(site, composed)
        if plan.infeasible:
            raise InputError(f"{plan.infeasible[0].trial_id} cannot run here: {plan.infeasible[0].reason}; change the plan", "unsupported")
        return record_of(command, composed, plan, pairing)


@contextmanager
def opened(record: CampaignRecord, directory: Path) -> Iterator[CampaignWriter]:
    """Open the campaign of one side, a new one where there is none.

    Raises InputError where one that is there has other trials, or what it runs has changed.
    """
    is_there = (directory / CAMPAIGN).exists()
    heed_signals()
    look = looked_at(trust=False, remedy="name a folder of your own with --to")
    with CampaignWriter.reopen(directory, look=look) if is_there else CampaignWriter.create(directory, record, look=look) as writer:
        tell_open(writer.record.open_to)
        stored, campaign = writer.record.trials, record.config
        if [planned.trial_id for planned in stored] != [planned.trial_id for planned in record.trials]:
            raise InputError(
                f"{directory} holds a campaign of other words: measure into another folder (--to)", "exists", "--to", directory
            )
        if is_there:
            with code_of_its_own():
                add_code_folders(campaign.code)
                with open_site(campaign, [planned.trial for planned in stored], only_look=True) as site:
                    found = list_changes(writer, campaign, [planned for planned in stored if planned.state in UNFINISHED], site).values()
            if changed := next(filter(None, found), None):
                raise InputError(f"{changed[0]}: measure into another folder (--to)", "incomparable", "--to")
        yield writer


def _pairs(mine: Sequence[PlannedTrial], theirs: Sequence[PlannedTrial]) -> list[tuple[PlannedTrial, PlannedTrial]]:
    """Return the trials that belong together, repeat by repeat: those of equal settings, else the first and the first, and so on."""
    if len(mine) != len(theirs):
        raise InputError(
            f"A has {len(mine)} trials and B {len(theirs)}: both sides must have as many, so that each has a partner", "incomparable"
        )
    places = {(planned.match_key, planned.trial.repeat): planned for planned in theirs}
    partner = partners([planned.match_key for planned in mine], [planned.match_key for planned in theirs])
    found = [(planned, places[partner[planned.match_key], planned.trial.repeat]) for planned in mine]
    return sorted(found, key=lambda pair: pair[0].trial.repeat)


def _measure(steps: Sequence[Step], records: Sequence[CampaignRecord], progress: Progress, stop: threading.Event) -> None:
    """Run one process after the other until the end or a signal. Sides with one code share one Ray."""
    a, b = (record.config for record in records)
    shared = (a.code, a.cluster) == (b.code, b.cluster)
    every = [planned.trial for record in records for planned in record.trials]
    with executor_of(a, every) if shared and steps else nullcontext() as common:
        for writer, planned in steps:
            if stop.is_set():
                return
            config = writer.record.config
            with nullcontext(common) if common is not None else executor_of(config, [planned.trial]) as executor:
                writer.set_state(planned.trial_id, "planned", None)
                with stop_on_signals(stop, progress), marked_when_stopped([writer], progress):
                    run_trials([planned], executor, writer, progress, stop, config.analysis.primary)


@contextmanager
def executor_of(campaign: CampaignConfig, trials: Sequence[Trial]) -> Iterator[Executor]:
    """Yield the executor over the machines of a side's campaign, with its own code."""
    with code_of_its_own():
        add_code_folders(campaign.code)
        with open_site(campaign, trials) as site, site.executor() as executor:
            yield executor
