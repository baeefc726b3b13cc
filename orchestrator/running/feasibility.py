"""Whether a machine can run a trial, and why not (pure)."""

from collections.abc import Iterable, Iterator

from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import DTYPE_BYTES
from orchestrator.contracts import InputError
from orchestrator.machine.host import Machine, cores_of_trial, is_device
from orchestrator.metrics import find_metric
from orchestrator.subject.inspection import UNKNOWN, Inspection


def why_not(trial: Trial, inspection: Inspection, machine: Machine) -> Iterator[str]:
    """Yield every reason why a machine cannot run a trial, one line each."""
    system, model, runtime, task = trial.system, trial.model, trial.runtime, trial.task
    for name, value in system.labels.items():
        if machine.labels.get(name) != value:
            there = ", ".join(f"{key}={known}" for key, known in machine.labels.items()) or "none"
            yield f"system.labels.{name}={value}: {machine.host} has the labels {there}; use cluster=address or drop it"
    try:
        cores_of_trial(trial, machine.cores, machine.numa, machine.host)
    except InputError as error:
        yield str(error)
    if not all(any(is_device(wanted, known) for known in machine.devices) for wanted in system.gpus):
        yield f"system.device={system.device}: {machine.host} has {', '.join(['cpu', *machine.devices])}; choose one of these"
    if len(system.gpus) > 1 and not model.several_gpus:
        yield f"system.device={system.device}: model {model.name} computes on one GPU; choose one of these"
    kind = system.device_kind
    if runtime.dtype not in (offered := runtime.dtypes.get(kind, (runtime.dtype,))):
        yield f"runtime.dtype={runtime.dtype}: runtime {runtime.name} computes in {', '.join(offered)} on {kind}; choose one of these"
    # Weights alone must fit into the memory meant for them. ``model.parameters`` is that of the published model; the user's own file
    # (``model.path``) may be smaller.
    found = [next((room for known, room in machine.device_memory.items() if is_device(gpu, known)), None) for gpu in system.gpus]
    rooms = [machine.memory_bytes] if system.device == "cpu" else found
    if model.parameters is not None and None not in rooms and model.options.get("path") is None:
        room, needed = sum(filter(None, rooms)), model.parameters * DTYPE_BYTES[runtime.dtype]
        if needed > room:
            half = "set runtime.dtype=fp16 or " if model.parameters * DTYPE_BYTES["fp16"] <= room else ""
            taken = f"its weights take {needed / 2**30:,.1f} GiB in {runtime.dtype}"
            there = f"{system.device} of {machine.host} has {room / 2**30:,.1f} GiB"
            yield f"model {model.name}: {taken}, {there}; {half}choose another system"
    held, limit = inspection.held_bytes, min(task.memory_limit, machine.memory_bytes)
    if held > limit:
        there = f"{machine.host} has {machine.memory_bytes / 2**20:,.1f} MiB"
        remedy = "raise task.memory_limit" if held <= machine.memory_bytes else there
        taken = f"the samples take {held / 2**20:,.1f} MiB of {limit / 2**20:,.1f} MiB"
        yield f"task.preload={task.preload}: {taken}; {remedy}, or set task.preload=none"
    if (batch := trial.measurement.batch) > inspection.samples and inspection != UNKNOWN:
        yield f"measurement.batch={batch}: there are {inspection.samples} samples only; choose a smaller batch"
    for name in inspection.metrics:
        try:
            find_metric(name)
        except InputError as error:
            yield f"task {task.name}: {error}"


def why_stacks_differ(machines: Iterable[Machine]) -> str | None:
    """Return the first version that two machines do not share, with both hosts, or None if all are equal."""
    first, *others = machines
    for name in sorted({name for machine in (first, *others) for name in machine.versions}):
        here = first.versions.get(name, "none")
        for other in others:
            if (there := other.versions.get(name, "none")) != here:
                return f"{first.host} has {name} {here} and {other.host} {there}"
    return None
