"""From a stored campaign to everything that its study holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.study.claims.choice import choice_claims, choice_table, choices
from orchestrator.study.claims.claim import claims_table, figures_table
from orchestrator.study.claims.enough import enough_claim, enough_table
from orchestrator.study.claims.factors import factor_claims
from orchestrator.study.claims.fluctuation import fluctuation_claim, fluctuation_table
from orchestrator.study.claims.inferences import inferences_claims, inferences_table
from orchestrator.study.claims.prediction import prediction_claims
from orchestrator.study.curves import latency_table, quality_table, tail_table
from orchestrator.study.factors import agreement_table, divisions, factor_table
from orchestrator.study.figures import figures_of
from orchestrator.study.foretelling import miss_table, of_fresh_processes, of_last_rounds, prediction_table
from orchestrator.study.material import Material
from orchestrator.study.measured import environment_table, measured_table, tolerance_table, trouble
from orchestrator.study.plots import Figure
from orchestrator.study.quirks import quirk_table
from orchestrator.study.settling import distance_table, least_rounds_table, paths_of, rjsd_table
from orchestrator.study.sizes import densities_of_one_sample, heat_maps, heat_table, size_table
from orchestrator.study.tables import StudyTable


@dataclass(frozen=True)
class Study:
    """What was found.

    limits
        sentences about what these data cannot test.
    tables
        by name, in the order in which they are shown.
    """

    name: str
    measured: str
    limits: Sequence[str]
    tables: Mapping[str, StudyTable]
    figures: Sequence[Figure]


def make_study(material: Material) -> Study:
    """Compute the study of a campaign from what is stored. Equal files, settings and seed give equal studies."""
    wanted = material.criteria.claims
    paths = paths_of(material)
    maps, densities = heat_maps(material), densities_of_one_sample(material)
    divided, chosen = divisions(material), choices(material)
    one_threshold = [wanted.prediction.percentile]
    foretold = [found for of in (of_last_rounds, of_fresh_processes) for found in of(material, one_threshold, (PRIMARY_CLOCK,))]
    fluctuates, enough, inferences = fluctuation_table(material), enough_table(material, paths), inferences_table(material, paths)
    claims = [
        fluctuation_claim(material, fluctuates),
        *choice_claims(material, chosen),
        enough_claim(material, enough),
        *prediction_claims(material, foretold),
        *inferences_claims(material, inferences),
        *factor_claims(material, divided),
    ]
    tables = [
        measured_table(material),
        claims_table(claims),
        figures_table(claims),
        fluctuates,
        quality_table(material),
        latency_table(material),
        tail_table(material),
        tolerance_table(material),
        choice_table(chosen),
        rjsd_table(material, paths),
        enough,
        least_rounds_table(material),
        distance_table(material),
        prediction_table(material),
        miss_table(material, foretold),
        inferences,
        factor_table(divided),
        agreement_table(material),
        size_table(material),
        heat_table(maps),
        quirk_table(material),
        environment_table(material),
        trouble(material.records),
    ]
    return Study(
        name=material.campaign.name,
        measured=f"{material.campaign.created_at:%Y-%m-%d %H:%M} UTC, version {material.campaign.code_version}",
        limits=list(_limits(material)),
        tables={table.name: table for table in tables},
        figures=figures_of(material, paths, maps, densities),
    )


def _limits(material: Material) -> list[str]:
    """Return what these data cannot test."""
    trials = [record.trial for record in material.records if record.started_at is not None]
    said = [
        "The paper's own hardware and its 19 cells: other systems were measured, so that its numbers are neither confirmed nor refuted."
    ]
    if all(trial.system.device_kind == "cpu" for trial in trials):
        said.append("GPUs: nothing was measured on one, and so nothing of what a missing synchronisation does to a clock.")
    machines = {record.placement.get("boot_id") for record in material.records if record.started_at is not None}
    if len(machines) == 1 and len({trial.system.name for trial in trials}) > 1:
        said.append("Machines: all systems are allocations of one, so that differences between machines cannot be seen.")
    if "tensorflow" not in {trial.runtime.name for trial in trials}:
        said.append("TensorFlow, the paper's second framework: it is none of the runtimes here.")
    if all(trial.repeat == 0 for trial in trials):
        said.append(
            "Fresh processes: every system was measured in one, so that what belongs to a process cannot be told from the system's."
        )
    if max(len(data.outcome) for _, data in material.trials()) < 100:
        said.append("100 rounds, as the paper has them: these trials have fewer.")
    said.append("Load from several users at once: requests came one after another.")
    return said
