"""What changed between the sides of a comparison beside what is compared: versions, host, placement, and the load of the machine."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.compare.baseline import Baseline
from orchestrator.stats.units import t_quantile
from orchestrator.storage.records import TrialRecord

ENVIRONMENT = ("host", "processor", "logical_cores", "memory_bytes", "governor", "turbo")
PLACEMENT = ("device", "uuid", "cores", "numa", "quota_cores", "threads", "pinned", "niceness")
DERIVED = ("platform",)
"""Left out of the stack: it repeats the kernel's version."""


@dataclass(frozen=True)
class Change:
    """One thing that had one value in the baseline and another in the candidate; ``systems`` are those of the trials it touches."""

    name: str
    before: str
    after: str
    systems: tuple[str, ...]


def stack_of(records: Iterable[TrialRecord]) -> dict[str, tuple[str, ...]]:
    """Return what may explain a change, each with the distinct values that the trials had."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        parts = [
            {name: value for name, value in record.stack.items() if name not in DERIVED},
            _chosen(record.environment, ENVIRONMENT),
            _chosen(record.placement, PLACEMENT) | {"gpu": record.placement.get("name")},
        ]
        for part in parts:
            for name, value in part.items():
                if value is not None:
                    found.setdefault(name, {})[_text(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def changes(before: Baseline, after: Baseline, pairs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> tuple[Change, ...]:
    """Return what differs.

    Parameters
    ----------
    before, after
        the campaigns as a whole.
    pairs
        of each matched trial its system and both sides' `stack_of`.
    """
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    whole = {
        "version of this program": (before.code_version, after.code_version),
        "digest of the code": (_short(before.code_digest), _short(after.code_digest)),
    }
    for name, (here, there) in whole.items():
        if here != there:
            found[name, here, there] = {}
    for system, mine, theirs in pairs:
        for name in dict.fromkeys((*mine, *theirs)):
            here, there = (", ".join(side.get(name, ())) or "none" for side in (mine, theirs))
            if here != there:
                found.setdefault((name, here, there), {})[system] = None
    return tuple(Change(*key, tuple(systems)) for key, systems in found.items())


@dataclass(frozen=True)
class Load:
    """One measure of what else a machine did, and from which difference on it matters.

    form
        how a figure of it is written.
    bound
        the smallest difference that matters: in its own unit, or as a share of the baseline's figure where it is ``relative``.
    """

    name: str
    form: str
    bound: float
    relative: bool = False


LOADS = (
    Load("foreign CPU time", "{:.2f} cores busy", 0.05),
    Load("stolen CPU time", "{:.2f} cores stolen", 0.01),
    Load("frequency", "{:.0f} MHz", 0.02, relative=True),
    Load("time of fixed work", "{:.3f} ms", 0.03, relative=True),
)
COUNTED = ("foreign_cpu_ns", "program_cpu_ns", "steal_ns", "frequency_mhz")
"""Columns of the rounds that tell it."""

LOAD_DIFFERS = "load differs"
SURE = 0.05
"""Two-sided level at which repeats must differ."""


def load_of(loaded: Iterable[TrialData]) -> dict[str, tuple[float, ...]]:
    """Return what else the machine did, per measure of `LOADS` one figure for each repeat; measures that some repeat lacks are left out.

    CPU time of others and time taken by the hypervisor are means over the time in which they were counted, as a number of cores.
    """
    found: list[dict[str, float]] = []
    for data in loaded:
        columns = {name: pa.array(data.evidence[name], from_pandas=True) for name in COUNTED}
        lasted = float(np.nansum(spans_ns(data.evidence)))
        kernel = [ns for ns in (data.record.environment.get("kernel") or {}).values() if isinstance(ns, int | float)]
        figures = {
            "foreign CPU time": _share(_others_ns(columns), lasted),
            "stolen CPU time": _share(pc.sum(columns["steal_ns"]).as_py(), lasted),
            "frequency": pc.mean(columns["frequency_mhz"]).as_py(),
            "time of fixed work": float(np.mean(kernel)) / 1e6 if kernel else None,
        }
        found.append({name: float(value) for name, value in figures.items() if value is not None})
    return {load.name: tuple(one[load.name] for one in found) for load in LOADS if found and all(load.name in one for one in found)}


def _others_ns(columns: Mapping[str, pa.Array]) -> float | None:
    """Return the processor time of all other processes: campaigns of before do not tell this program's own apart."""
    foreign, program = (pc.sum(columns[name]).as_py() for name in ("foreign_cpu_ns", "program_cpu_ns"))
    return None if foreign is None else foreign + (program or 0)


def _share(ns: float | None, lasted_ns: float) -> float | None:
    return ns / lasted_ns if ns is not None and lasted_ns else None


def differing_load(before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]) -> dict[str, tuple[str, str]]:
    """Return the measures in which two sides differ, each with the mean of either side as text.

    They do where the means differ by what matters, and by more than repeats do: Student's pooled t, two-sided at 5 %. Without repeats the
    first alone counts.
    """
    found = {}
    for load in LOADS:
        mine, theirs = (np.array(side.get(load.name, ()), dtype=np.float64) for side in (before, after))
        if not mine.size or not theirs.size:
            continue
        least = load.bound * (abs(float(mine.mean())) if load.relative else 1.0)
        difference = abs(float(theirs.mean() - mine.mean()))
        degrees = mine.size + theirs.size - 2
        if degrees:
            spread = math.sqrt((float(((mine - mine.mean()) ** 2).sum()) + float(((theirs - theirs.mean()) ** 2).sum())) / degrees)
            least = max(least, -float(t_quantile(SURE / 2, degrees)) * spread * math.sqrt(1 / mine.size + 1 / theirs.size))
        if difference >= least and difference > 0:
            found[load.name] = (load.form.format(mine.mean()), load.form.format(theirs.mean()))
    return found


def _chosen(facts: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: facts.get(name) for name in names}


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
