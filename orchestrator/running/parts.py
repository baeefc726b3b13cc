"""How many trials of a machine can be loaded at once, by the memory their processes hold (pure)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import DTYPE_BYTES
from orchestrator.contracts import by_key
from orchestrator.machine.host import Machine
from orchestrator.stats.constants import PAUSE
from orchestrator.storage.records import PlannedTrial
from orchestrator.subject.inspection import Inspection

# What a process holds besides weights and samples: Python, Ray and a framework. [300 to 450 MiB with PyTorch or ONNX Runtime]. A process
# with a GPU is taken to hold as much once more, and as much on the GPU.
FRAMEWORK_BYTES = 512 * 2**20
# Weights count twice: the other time for what a model computes with, and for copies that a loader makes.
TIMES_WEIGHTS = 2
# Of a machine's and a GPU's memory that processes of a campaign may hold together.
SHARE = 0.75
# Loaded at once on one machine, however large it is: loading takes seconds each, in which nothing is measured.
MOST_PROCESSES = 64

HOST, PROCESSES = "memory", "processes"


def held_bytes(trial: Trial, inspection: Inspection) -> dict[str, int]:
    """Return about how many bytes the loaded process of a trial holds: in the host's memory, and on its GPUs by name.

    Weights are counted by ``model.parameters``, or by the size of the model's files where that is not known. Several GPUs share them.
    """
    published = trial.model.parameters if trial.model.options.get("path") is None else None
    weights = inspection.model_bytes if published is None else published * DTYPE_BYTES[trial.runtime.dtype]
    if trial.system.device == "cpu":
        return {HOST: FRAMEWORK_BYTES + TIMES_WEIGHTS * weights + inspection.held_bytes}
    of_each = FRAMEWORK_BYTES + TIMES_WEIGHTS * weights // len(trial.system.gpus)
    return {HOST: 2 * FRAMEWORK_BYTES + inspection.held_bytes, **dict.fromkeys(trial.system.gpus, of_each)}


def in_parts(
    trials: Sequence[PlannedTrial], places: Mapping[str, tuple[Inspection, Machine]]
) -> tuple[tuple[PlannedTrial, ...], tuple[str, ...]]:
    """Return the trials, each with the part of its machine's trials that it is loaded with, and a line for each machine with several parts.

    A part holds as many trials as the memory does, whole repeats where it can,
    else all trials of a task. Trials that share their machine with others run in lanes of
    their own, which the plan does not tell apart: where not all of them can be loaded at once, each is a part.
    So is each trial that starts a server: that does not sleep between visits, and would work beside what others time.

    Parameters
    ----------
    trials
        in the order of the plan.
    places
        by match key: what is known of the subject, and the machine of each trial that has one.
    """
    parts: dict[str, int] = {}
    lines: list[str] = []
    in_visits = [planned for planned in trials if planned.state == "planned" and planned.trial.measurement.rounds_per_visit is not None]
    with_server = [planned for planned in in_visits if planned.trial.server.is_started]
    in_visits = [planned for planned in in_visits if not planned.trial.server.is_started]
    machines = {key: machine for key, (_, machine) in places.items()}
    for (_, exclusive, _), members in _by_machine(in_visits, machines).items():
        machine = machines[members[0].match_key]
        held = {planned.trial_id: Counter(held_bytes(planned.trial, places[planned.match_key][0]) | {PROCESSES: 1}) for planned in members}
        sizes = {HOST: machine.memory_bytes, **machine.device_memory}
        room = {name: SHARE * size for name, size in sizes.items() if size is not None} | {PROCESSES: MOST_PROCESSES}
        if _fits(held.values(), room):
            continue
        numbers = _fill(members, held, room) if exclusive else range(len(members))
        parts.update({planned.trial_id: number for planned, number in zip(members, numbers, strict=True)})
        if len(members) > 1:
            lines.append(_line(machine.host, sum(held.values(), Counter()), room, len(members), len(set(numbers))))
    if len(with_server) + len(in_visits) > 1:
        first = max(parts.values(), default=0) + 1
        parts.update({planned.trial_id: first + number for number, planned in enumerate(with_server)})
        for members in _by_machine(with_server, machines).values():
            one = "the trial that starts a server is"
            who = one if len(members) == 1 else f"{len(members)} trials that start a server each are"
            host = machines[members[0].match_key].host
            lines.append(f"{host}: {who} measured apart from all others, since a server does not sleep between visits")
    return tuple(planned.model_copy(update={"part": parts.get(planned.trial_id, 0)}) for planned in trials), tuple(lines)


def cycles_of(trials: Sequence[PlannedTrial], machines: Mapping[str, Machine]) -> dict[str, float]:
    """Return how many visits long the cycle of each trial in visits is, by id: all that take turns, or its own and its pause.

    It is 0 where visits follow one another too closely to be units. ``machines`` are those of the trials by match key, ``trials`` such as
    `in_parts` returns. Those that share their machine (``exclusive: false``) are taken to take turns with each other.
    """
    in_visits = [one for one in trials if one.state == "planned" and one.trial.measurement.rounds_per_visit is not None]
    together = _by_machine(in_visits, machines).values()
    cycles = {one.trial_id: max(len(of_one), 1 + one.trial.measurement.pause) for of_one in together for one in of_one}
    return {trial_id: cycle if cycle >= 1 + PAUSE else 0 for trial_id, cycle in cycles.items()}


def _by_machine(trials: Iterable[PlannedTrial], machines: Mapping[str, Machine]) -> dict[tuple[str, bool, int], list[PlannedTrial]]:
    """Return the trials of each machine that share it or do not, part by part; before there are parts, all are of one."""
    hosts = {key: machine.boot_id or machine.host for key, machine in machines.items()}
    return by_key(trials, lambda one: (hosts[one.match_key], one.trial.system.exclusive, one.part))


def _fits(held: Iterable[Counter[str]], room: Mapping[str, float]) -> bool:
    total = sum(held, Counter[str]())
    return all(count <= room.get(name, count) for name, count in total.items())


# What one part holds if it can, from the largest: a repeat, its trials of one task, which are compared, a trial.
WHOLE: tuple[Callable[[PlannedTrial], object], ...] = (
    lambda planned: planned.trial.repeat,
    lambda planned: planned.trial.task.name,
    lambda planned: planned.trial_id,
)


def _fill(members: Sequence[PlannedTrial], held: Mapping[str, Counter[str]], room: Mapping[str, float]) -> list[int]:
    """Return the part of each trial: parts are filled one after another, by the largest of `WHOLE` that one part can hold."""
    parts: list[list[Counter[str]]] = [[]]
    numbers: list[int] = []

    def add(block: Sequence[PlannedTrial], kinds: Sequence[Callable[[PlannedTrial], object]]) -> None:
        of_block = [held[planned.trial_id] for planned in block]
        if parts[-1] and not _fits([*parts[-1], *of_block], room):
            parts.append([])
        if not kinds or _fits(of_block, room):
            parts[-1].extend(of_block)
            numbers.extend([len(parts) - 1] * len(block))
            return
        for _, piece in groupby(block, key=kinds[0]):
            add(list(piece), kinds[1:])

    add(members, WHOLE)
    return numbers


def _line(host: str, total: Mapping[str, int], room: Mapping[str, float], trials: int, parts: int) -> str:
    short = next(of for of, count in total.items() if count > room.get(of, count))
    what = "memory" if short == HOST else f"memory of {short}"
    bound = f"would hold about {total[short] / 2**30:,.1f} GiB of {what}, and may hold {room[short] / 2**30:,.1f}"
    if short == PROCESSES:
        bound = f"are more than the {MOST_PROCESSES} that may be"
    return f"{host}: {trials} trials loaded at once {bound}; they are measured in {parts} parts, one after another, each in visits"
