"""What a study works on, what was measured, and where."""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.groups import Group, check_names, grouped
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.table import Context, all_rows, tables
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats
from orchestrator.stats.times import SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.study.claims import Criteria
from orchestrator.study.tables import Row, table

# What names a measured system, in tables and figures.
WHO = ("task", "model", "runtime", "system")
WHO_COLUMNS = ("name", *WHO, "repeat")


@dataclass(frozen=True, eq=False)
class Material:
    """A stored campaign as a study reads it."""

    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    groups: tuple[Group, ...]
    analysis: AnalysisConfig
    criteria: Criteria

    def trials(self) -> list[tuple[Group, TrialData]]:
        return [(group, data) for group in self.groups for data in group.trials]

    def clocks(self) -> Iterator[tuple[Group, TrialData, Clock]]:
        yield from ((*pair, clock) for pair in self.trials() for clock in SHOWN_SERVICE_CLOCKS)

    def firsts(self) -> Iterator[tuple[Group, TrialData]]:
        yield from ((group, data) for group in self.groups for data in repeats_first(group))

    def random(self, *names: object) -> np.random.Generator:
        """Return random numbers of its own, by ``analysis.seed`` and what they are for."""
        return np.random.default_rng(
            [self.analysis.seed, zlib.crc32(" ".join(map(str, names)).encode())]
        )


def read_material(campaign: Campaign, analysis: AnalysisConfig, criteria: Criteria) -> Material:
    """Return the trials of a campaign that have rounds; InputError if none has."""
    trials = load_trials(campaign, analysis.metrics)
    if not trials:
        name = campaign.record.name
        raise InputError(
            f"{name}: no trial has a stored round to study: measure it first", "no_data"
        )
    check_names(trials, analysis)
    return Material(
        campaign.record, tuple(campaign.trials()), grouped(trials, analysis), analysis, criteria
    )


def who(group: Group, data: TrialData) -> list[str]:
    """Return the cells that name a trial."""
    trial, settings = data.record.trial, group.settings.get(data.trial_id)
    system = trial.system.name + (f" ({settings})" if settings else "")
    return [group.task, trial.model.name, trial.runtime.name, system, str(trial.repeat)]


def short(group: Group, data: TrialData) -> str:
    """Return what a figure calls a measured system."""
    return ", ".join(who(group, data)[1:4])


def sizes_of(data: TrialData) -> Floats | None:
    """Return the input size of each column of `own_times`, [B]; None where all are alike.

    Of a batch it is the mean of its samples.
    """
    sizes = data.input_sizes.astype(np.float64)
    if data.record.trial.measurement.batch > 1 and data.batch_of is not None:
        sizes = np.bincount(data.batch_of, weights=sizes) / np.bincount(data.batch_of)
    return sizes if np.unique(sizes).size > 1 else None


def repeats_first(group: Group) -> list[TrialData]:
    """Return the first repeat of every measured system of a task."""
    return [first for first, *_ in group.systems().values()]


# Which systems lie on one machine, by the boot id.
def _allocations(material: Material) -> str:
    machines: dict[str, set[str]] = {}
    for record in material.records:
        boot = record.placement.get("boot_id") or record.environment.get("boot_id")
        if boot is not None and record.started_at is not None:
            machines.setdefault(str(boot), set()).add(record.trial.system.name)
    told = [
        f"{', '.join(systems)} are {len(systems)} allocations of one machine, "
        f"not {len(systems)} machines"
        for systems in sorted(map(sorted, machines.values()))
        if len(systems) > 1
    ]
    return "; ".join(told) + ("." if told else "")


@table(
    "measured",
    "What was measured",
    [
        *(("name", "task"), ("words", "metric"), ("whole", "samples")),
        *(("words", "models", "runtimes", "systems"), ("whole", "trials", "repeats")),
        *(("words", "rounds a trial"), ("whole", "answers")),
    ],
    _allocations,
)
def _measured(material: Material) -> Iterator[Row]:
    for group in material.groups:
        first, trials = group.trials[0], [data.record.trial for data in group.trials]
        names = [{getattr(trial, part).name for trial in trials} for part in WHO[1:]]
        counts = {len(data.outcome) for data in group.trials}
        figures = (
            max(trial.repeat for trial in trials) + 1,
            " to ".join(map(str, sorted({min(counts), max(counts)}))),
            sum(data.outcome.size for data in group.trials),
        )
        of_task = (group.task, first.metric, len(first.references))
        yield [*of_task, *(", ".join(sorted(of)) for of in names), len(trials), *figures]


@table(
    "environment",
    "Environment",
    [
        ("name", "system", "runtime"),
        ("words", "host", "processor", "device", "core numbers", "quota", "versions"),
        ("whole", "trials"),
    ],
)
def _environment(material: Material) -> Iterator[Row]:
    found = Counter(map(_where, (one for one in material.records if one.started_at is not None)))
    for cells, count in sorted(found.items()):
        yield [*cells, count]


def _where(record: TrialRecord) -> tuple[str, ...]:
    place, versions, trial = record.placement, record.stack.get("versions"), record.trial
    cores, quota = place.get("cores"), place.get("quota_cores")
    stack = versions if isinstance(versions, Mapping) else record.stack
    known = [f"{name} {value}" for name, value in sorted(stack.items()) if isinstance(value, str)]
    return (
        *(trial.system.name, trial.runtime.name, str(place.get("host") or "-")),
        str(record.environment.get("processor") or "-"),
        str(place.get("name") or place.get("device") or trial.system.device),
        ", ".join(map(str, cores)) if isinstance(cores, list | tuple) else "-",
        f"{quota:g} cores" if isinstance(quota, int | float) else "-",
        ", ".join(known) or "-",
    )


@table("not_done", "Trials that are not done", [("name", "trial"), ("words", "state", "reason")])
def _not_done(material: Material) -> Iterator[Row]:
    records = (record for record in material.records if record.state != "done")
    yield from ([one.trial_id, one.state, one.reason or "-"] for one in records)


@table(
    "tolerance",
    "Tail quality averaged over users' tolerance, total time",
    [
        *(("name", *WHO), ("words", "tolerance")),
        *(("three", "mean", "low", "high", "worst", "ideal"), ("whole", "samples")),
    ],
    without_rows="No law of tolerance was given: "
    "`analysis.tolerance={{median_ms: 200, p95_ms: 500}}` averages over one.",
)
def _tolerance(material: Material) -> Iterator[Row]:
    context = Context(material.analysis, material.campaign, material.records, material.groups)
    rows = all_rows(tables()["tolerance"], context)
    found = {row["trial"]: row for row in rows if row["clock"] == "total"}
    figures = ("tolerance", "mean", "interval_low", "interval_high", "worst", "ideal", "samples")
    for group, data in material.trials():
        if data.trial_id in found:
            yield [*who(group, data)[:-1], *(found[data.trial_id][name] for name in figures)]


def limits(material: Material) -> list[str]:
    """Return what these data cannot test."""
    measured = [record for record in material.records if record.started_at is not None]
    trials = [record.trial for record in measured]
    machines = {record.placement.get("boot_id") for record in measured}
    most_rounds = max(len(data.outcome) for _, data in material.trials())
    said = {
        "The paper's own hardware and its 19 cells: other systems were measured, so its "
        "numbers are neither confirmed nor refuted.": True,
        "GPUs: nothing was measured on one, so the effect of a missing synchronisation on a clock "
        "is unknown.": all(trial.system.device_kind == "cpu" for trial in trials),
        "Machines: all systems are allocations of one, so differences between machines do "
        "not show.": len(machines) == 1 and len({trial.system.name for trial in trials}) > 1,
        "TensorFlow, the paper's second framework: no trial here uses it.": (
            "tensorflow" not in {trial.runtime.name for trial in trials}
        ),
        "Fresh processes: every system was measured in one, so process and system cannot be "
        "distinguished.": all(trial.repeat == 0 for trial in trials),
        "100 rounds, as in the paper: these trials have fewer.": most_rounds < 100,
        "Load from several users at once: requests came one after another.": True,
    }
    return [limit for limit, holds in said.items() if holds]
