"""Whether a machine can run a trial, and why not (pure)."""

from collections.abc import Iterable

from orchestrator.configuration.config import SystemConfig, Trial
from orchestrator.configuration.fields import DTYPE_BYTES
from orchestrator.contracts import InputError
from orchestrator.machine.host import Machine, cores_of_trial, is_device
from orchestrator.metrics import find_metric
from orchestrator.subject.inspection import UNKNOWN, Inspection


def reasons(trial: Trial, inspection: Inspection, machine: Machine) -> tuple[str, ...]:
    """Return every reason why a machine cannot run a trial, one line each."""
    found = (
        _labels(trial.system, machine),
        _cores(trial, machine),
        _device(trial.system, machine),
        _several_gpus(trial),
        _dtype(trial),
        _weights(trial, machine),
        _memory(trial, inspection, machine),
        _batch(trial, inspection),
        _metrics(trial, inspection),
    )
    return tuple(filter(None, found))


def _labels(system: SystemConfig, machine: Machine) -> str | None:
    for name, value in system.labels.items():
        if machine.labels.get(name) != value:
            there = ", ".join(f"{key}={known}" for key, known in machine.labels.items()) or "none"
            return f"system.labels.{name}={value}: {machine.host} has the labels {there}; use cluster=address or drop it"
    return None


def _cores(trial: Trial, machine: Machine) -> str | None:
    try:
        cores_of_trial(trial, machine.cores, machine.numa, machine.host)
    except InputError as error:
        return str(error)
    return None


def _device(system: SystemConfig, machine: Machine) -> str | None:
    if all(any(is_device(wanted, known) for known in machine.devices) for wanted in system.gpus):
        return None
    return f"system.device={system.device}: {machine.host} has {', '.join(['cpu', *machine.devices])}; choose one of these"


def _several_gpus(trial: Trial) -> str | None:
    if len(trial.system.gpus) < 2 or trial.model.several_gpus:
        return None
    return f"system.device={trial.system.device}: model {trial.model.name} computes on one GPU; choose one of these"


def _dtype(trial: Trial) -> str | None:
    runtime, kind = trial.runtime, trial.system.device_kind
    offered = runtime.dtypes.get(kind, (runtime.dtype,))
    if runtime.dtype in offered:
        return None
    return f"runtime.dtype={runtime.dtype}: runtime {runtime.name} computes in {', '.join(offered)} on {kind}; choose one of these"


def _weights(trial: Trial, machine: Machine) -> str | None:
    """Refuse a model whose weights alone do not fit into the memory meant for them.

    ``model.parameters`` is that of the published model; the user's own file (``model.path``) may be smaller.
    """
    room = machine.memory_bytes if trial.system.device == "cpu" else _device_memory(trial.system, machine)
    if trial.model.parameters is None or room is None or trial.model.options.get("path") is not None:
        return None
    needed = trial.model.parameters * DTYPE_BYTES[trial.runtime.dtype]
    if needed <= room:
        return None
    fits_in_half = trial.model.parameters * DTYPE_BYTES["fp16"] <= room
    remedy = "set runtime.dtype=fp16 or choose another system" if fits_in_half else "choose another system"
    return (
        f"model {trial.model.name}: its weights take {_gib(needed)} in {trial.runtime.dtype}, {trial.system.device} of {machine.host} "
        f"has {_gib(room)}; {remedy}"
    )


def _device_memory(system: SystemConfig, machine: Machine) -> int | None:
    """Return the memory of all GPUs of a system, None where that of one is not known."""
    found = [next((room for known, room in machine.device_memory.items() if is_device(gpu, known)), None) for gpu in system.gpus]
    known = [room for room in found if room is not None]
    return sum(known) if len(known) == len(found) else None


def _gib(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def _memory(trial: Trial, inspection: Inspection, machine: Machine) -> str | None:
    held, limit = inspection.held_bytes, min(trial.task.memory_limit, machine.memory_bytes)
    if held <= limit:
        return None
    remedy = "raise task.memory_limit" if held <= machine.memory_bytes else f"{machine.host} has {_mib(machine.memory_bytes)}"
    return f"task.preload={trial.task.preload}: the samples take {_mib(held)} of {_mib(limit)}; {remedy}, or set task.preload=none"


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _batch(trial: Trial, inspection: Inspection) -> str | None:
    if trial.measurement.batch <= inspection.samples or inspection == UNKNOWN:
        return None
    return f"measurement.batch={trial.measurement.batch}: there are {inspection.samples} samples only; choose a smaller batch"


def _metrics(trial: Trial, inspection: Inspection) -> str | None:
    for name in inspection.metrics:
        try:
            find_metric(name)
        except InputError as error:
            return f"task {trial.task.name}: {error}"
    return None


def why_stacks_differ(machines: Iterable[Machine]) -> str | None:
    """Return the first version that two machines do not share, with both hosts, or None if all are equal."""
    first, *others = machines
    names = sorted({name for machine in (first, *others) for name in machine.versions})
    for name in names:
        here = first.versions.get(name, "none")
        for other in others:
            there = other.versions.get(name, "none")
            if here != there:
                return f"{first.host} has {name} {here} and {other.host} {there}"
    return None
