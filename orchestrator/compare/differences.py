"""In which settings trials differ, which of two campaigns belong together, and what else changed: versions, host, placement, load."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.compare.baseline import Baseline
from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, nearest
from orchestrator.running.identity import NO_WORK, OF_NEIGHBOUR, OF_SERVER
from orchestrator.stats.units import t_quantile
from orchestrator.storage.records import TrialRecord

# Blocks that a command chooses by name, as in ``system=cpu_all``.
NAMED = ("model", "task", "system", "runtime", "server", "load", "neighbour")
# Settings that the digest of the data stands for: they choose its samples.
DRAWS = ("task.limit", "task.subset_seed")


def settings_of(trial: Trial) -> dict[str, Any]:
    """Return the settings that make a trial the work it is, by the keys of a command; never paths. A block's name has the block's key."""
    blocks = {name: getattr(trial, name).model_dump(mode="json", exclude=left_out) for name, left_out in NO_WORK.items()}
    for name, target in (("model", trial.model), ("task", trial.task)):
        blocks[name] |= {option: value for option, value in target.options.items() if not _is_path(value)}
    own = {f"settings.{name}": value for name, value in trial.server.settings.items()}
    blocks["server"] = trial.server.model_dump(mode="json", include=OF_SERVER) | own
    blocks["neighbour"] = trial.neighbour.model_dump(mode="json", include=OF_NEIGHBOUR)
    blocks["load"] = trial.load.model_dump(mode="json", exclude={"file"})
    found = {f"{block}.{name}".removesuffix(".name"): value for block, known in blocks.items() for name, value in known.items()}
    drawn = {"task.limit": trial.task.limit, "task.subset_seed": trial.task.subset_seed}
    return {**found, **drawn, "measurement.lead_in": trial.measurement.lead_in}


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "/" in value


def differing_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the keys of `settings_of` whose values differ, names first."""
    keys = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
    return sorted(keys, key=lambda key: key not in NAMED)


def differences(before: Trial, after: Trial) -> list[str]:
    """Return the settings that make two trials different work, such as ``model.sleep_ms 2.0 -> 2.2``; never paths."""
    here, there = settings_of(before), settings_of(after)
    return [f"{key} {_written(here.get(key))} -> {_written(there.get(key))}" for key in differing_keys(here, there)]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def closest(before: Mapping[str, Trial], after: Mapping[str, Trial]) -> dict[str, str]:
    """Return for trials of one campaign those of another that are most like them, by match key, each at most once.

    They are of one task. Those of all names alike belong together; where there are none, those of which as few names differ as of any.
    """
    here, there = ({key: settings_of(trial) for key, trial in side.items()} for side in (before, after))
    apart = {
        (mine, theirs): sum(own[name] != other[name] for name in NAMED)
        for (mine, own), (theirs, other) in product(here.items(), there.items())
        if own["task"] == other["task"]
    }
    fewest = min(apart.values(), default=0)
    found = [(len(differing_keys(here[mine], there[theirs])), mine, theirs) for (mine, theirs), names in apart.items() if names == fewest]
    partners: dict[str, str] = {}
    for _, mine, theirs in sorted(found, key=lambda one: one[0]):
        if mine not in partners and theirs not in partners.values():
            partners[mine] = theirs
    return partners


def partners_by(by: Sequence[str], before: Mapping[str, Trial], after: Mapping[str, Trial]) -> dict[str, str]:
    """Return the partner in a second campaign of each match key of a first, where trials differ in some settings alone.

    A setting stands for all below it: ``model`` for its name and its options. Raises InputError for one that no trial has, and where a
    trial has several partners.
    """
    known = {key for trial in (*before.values(), *after.values()) for key in (*settings_of(trial), *paths_of(trial))}
    for key in by:
        if not any(_is_below(one, [key]) for one in known):
            raise InputError(f"--by {key}: no trial has this setting; {nearest(key, known)}", "unknown", "--by", key)
    here, there = (
        {of: {key: value for key, value in settings_of(trial).items() if not _is_below(key, by)} for of, trial in side.items()}
        for side in (before, after)
    )
    partners: dict[str, str] = {}
    for mine, own in here.items():
        alike = [theirs for theirs, other in there.items() if other == own]
        if len(alike) > 1:
            raise InputError(
                f"--by {','.join(by)}: {mine} may belong to {alike[0]} or {alike[1]}: name what these differ in, too",
                "conflict",
                "--by",
                by,
            )
        if alike:
            partners[mine] = alike[0]
    return partners


def _is_below(key: str, by: Sequence[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in by)


def paths_of(trial: Trial) -> list[str]:
    """Return the options of a trial that are paths, which only the digest of what they hold makes part of the work."""
    blocks = {"model": trial.model, "task": trial.task}
    return [f"{block}.{name}" for block, target in blocks.items() for name, value in target.options.items() if _is_path(value)]


ENVIRONMENT = ("host", "processor", "logical_cores", "memory_bytes", "governor", "turbo")
PLACEMENT = ("device", "uuid", "cores", "numa", "quota_cores", "threads", "pinned", "niceness")
# Left out of the stack: it repeats the kernel's version.
DERIVED = ("platform",)


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
        facts = [
            *((name, value) for name, value in record.stack.items() if name not in DERIVED),
            *((name, record.environment.get(name)) for name in ENVIRONMENT),
            *((name, record.placement.get(name)) for name in PLACEMENT),
            ("gpu", record.placement.get("name")),
        ]
        for name, value in facts:
            if value is not None:
                found.setdefault(name, {})[",".join(map(str, value)) if isinstance(value, list) else str(value)] = None
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
        "digest of the code": ((before.code_digest or "none")[:12], (after.code_digest or "none")[:12]),
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


# What else a machine did: how a figure of it is written, and the smallest difference that matters, as a share where that is True.
LOADS = {
    "foreign CPU time": ("{:.2f} cores busy", 0.05, False),
    "stolen CPU time": ("{:.2f} cores stolen", 0.01, False),
    "frequency": ("{:.0f} MHz", 0.02, True),
    "time of fixed work": ("{:.3f} ms", 0.03, True),
}
# Columns of the rounds that tell it.
COUNTED = ("foreign_cpu_ns", "program_cpu_ns", "steal_ns", "frequency_mhz")

LOAD_DIFFERS = "load differs"
# Two-sided level at which repeats must differ.
SURE = 0.05


def load_of(loaded: Iterable[TrialData]) -> dict[str, tuple[float, ...]]:
    """Return what else the machine did, per measure of `LOADS` one figure for each repeat; measures that some repeat lacks are left out.

    CPU time of others and time taken by the hypervisor are means over the time in which they were counted, as a number of cores.
    """
    found: list[dict[str, float]] = []
    for data in loaded:
        columns = {name: pa.array(data.evidence[name], from_pandas=True) for name in COUNTED}
        lasted = float(np.nansum(spans_ns(data.evidence)))
        kernel = [ns for ns in (data.record.environment.get("kernel") or {}).values() if isinstance(ns, int | float)]
        foreign, program, stolen = (pc.sum(columns[name]).as_py() for name in ("foreign_cpu_ns", "program_cpu_ns", "steal_ns"))
        figures = {
            # Of all other processes: campaigns of before do not tell this program's own apart.
            "foreign CPU time": (foreign + (program or 0)) / lasted if foreign is not None and lasted else None,
            "stolen CPU time": stolen / lasted if stolen is not None and lasted else None,
            "frequency": pc.mean(columns["frequency_mhz"]).as_py(),
            "time of fixed work": float(np.mean(kernel)) / 1e6 if kernel else None,
        }
        found.append({name: float(value) for name, value in figures.items() if value is not None})
    return {name: tuple(one[name] for one in found) for name in LOADS if found and all(name in one for one in found)}


def differing_load(before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]) -> dict[str, tuple[str, str]]:
    """Return the measures in which two sides differ, each with the mean of either side as text.

    They do where the means differ by what matters, and by more than repeats do: Student's pooled t, two-sided at 5 %. Without repeats the
    first alone counts.
    """
    found = {}
    for name, (form, bound, is_share) in LOADS.items():
        mine, theirs = (np.array(side.get(name, ()), dtype=np.float64) for side in (before, after))
        if not mine.size or not theirs.size:
            continue
        least = bound * (abs(float(mine.mean())) if is_share else 1.0)
        difference = abs(float(theirs.mean() - mine.mean()))
        degrees = mine.size + theirs.size - 2
        if degrees:
            spread = math.sqrt((float(((mine - mine.mean()) ** 2).sum()) + float(((theirs - theirs.mean()) ** 2).sum())) / degrees)
            least = max(least, -float(t_quantile(SURE / 2, degrees)) * spread * math.sqrt(1 / mine.size + 1 / theirs.size))
        if difference >= least and difference > 0:
            found[name] = (form.format(mine.mean()), form.format(theirs.mean()))
    return found
