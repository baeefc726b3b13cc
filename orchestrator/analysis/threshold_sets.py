"""Which thresholds a campaign is read at: the reference trial's percentiles, common absolute ones, the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.trial_data import CLOCKS, TrialData
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.stats import thresholds
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.thresholds import Reference, Threshold


@dataclass(frozen=True)
class ThresholdSet:
    """The thresholds that all trials of one task and data set share.

    reference
        the trial whose percentiles are thresholds, or None where no trial can be one.
    percentiles
        its percentiles, per clock.
    absolute
        the user's thresholds and the common ones, the same on both clocks, rising.
    primary
        the one threshold for rules and gates, on the total clock.
    """

    reference: Reference | None
    percentiles: Mapping[str, tuple[Threshold, ...]]
    absolute: tuple[Threshold, ...]
    primary: Threshold | None

    def common(self, clock: str) -> tuple[Threshold, ...]:
        """Return every threshold of a clock that compares systems; the primary one is among those of the total clock."""
        found = self.percentiles[clock] + self.absolute
        if clock != "total" or self.primary is None or self.primary in found:
            return found
        return (*found, self.primary)


def threshold_set(trials: Sequence[TrialData], analysis: AnalysisConfig) -> ThresholdSet:
    """Return the common thresholds of trials of one task; percentiles are those of inferences, in which a batch counts once.

    Raises
    ------
    InputError
        where ``analysis.reference`` names no trial of the campaign's tasks.
    """
    ends = {data.trial_id: percentiles_inverted_cdf(data.inferences["total"], [50, 99]) for data in trials}
    p50s = {trial: p50 for trial, (p50, _) in ends.items()}
    reference = _reference(trials, p50s, analysis.reference)
    chosen = None if reference is None else next(data for data in trials if data.trial_id == reference.trial)
    users = thresholds.thresholds_from_ms(analysis.thresholds_ms)
    spans = [(p50, p99) for p50, p99 in ends.values()]
    absolute = {threshold.ns: threshold for threshold in (*thresholds.common_thresholds(spans), *users)}
    return ThresholdSet(
        reference=reference,
        percentiles={
            clock: ()
            if chosen is None
            else thresholds.thresholds_from_percentiles(chosen.inferences[clock], analysis.percentiles, "reference")
            for clock in CLOCKS
        },
        absolute=tuple(absolute[ns] for ns in sorted(absolute)),
        primary=thresholds.primary_threshold(analysis.primary, None if chosen is None else chosen.inferences["total"]),
    )


def _reference(trials: Sequence[TrialData], p50s: Mapping[str, float], wanted: str | None) -> Reference | None:
    matching = [data.trial_id for data in trials if wanted in (data.trial_id, data.record.match_key)]
    if matching:
        return Reference(matching[0])
    return thresholds.default_reference(p50s, failed=[data.trial_id for data in trials if data.record.state == "failed"])


def check_analysis(trials: Sequence[TrialData], analysis: AnalysisConfig) -> None:
    """Raise InputError where ``analysis.reference`` names no trial at all, or ``analysis.slices`` what no trial's samples have."""
    wanted = analysis.reference
    if wanted is not None and not any(wanted in (data.trial_id, data.record.match_key) for data in trials):
        raise analysis.unknown_reference([data.trial_id for data in trials])
    if trials:
        analysis.check_slices(name for data in trials for name in data.slices)
