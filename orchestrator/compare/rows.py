"""The rows of one trial of a baseline: what it is held against, or why it cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.analysis.trial_data import TrialData
from orchestrator.compare.baseline import BaselineThreshold, BaselineTrial
from orchestrator.compare.pairs import Scopes, nearest, scopes_of, why_not_comparable
from orchestrator.compare.sides import flags_of_repeats, mean_ideal, means_at, not_done
from orchestrator.configuration.config import Trial
from orchestrator.stats.gate import Verdict
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.records import PlannedTrial

NO_VERDICT, MISSING, FAILED, WORSE = "no verdict", "missing", "failed", "worse"


@dataclass(frozen=True)
class Compared:
    """One trial of the baseline at one threshold.

    outcome
        ``worse``, ``better``, ``no difference shown``, ``no verdict: ...``, ``missing`` or ``failed``.
    why
        of an outcome that rests on no figures, in words.
    threshold, means_before, means
        None and empty where nothing could be compared. The means are one per repeat.
    resolution
        change of a repeat's mean by one inference in one round.
    slowed
        the baseline's mean quality if all its times were longer by each of its ``slow_downs``.
    verdict, scopes
        what the repeats show, None where nothing could be compared; what the rounds show.
    slow_down
        share by which all times may grow before the repeats show it with 90 % power; None where that is unknown.
    """

    match_key: str
    trial: Trial
    outcome: str
    why: str = ""
    metric: str | None = None
    threshold: Threshold | None = None
    ideal_before: float | None = None
    ideal: float | None = None
    means_before: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    resolution: float = 0.0
    slowed: tuple[float, ...] = ()
    verdict: Verdict | None = None
    scopes: Scopes = field(default_factory=Scopes)
    slow_down: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The outcome without its reason."""
        return NO_VERDICT if self.outcome.startswith(NO_VERDICT) else self.outcome


def refused(before: BaselineTrial, repeats: Sequence[PlannedTrial], unmatched: Mapping[str, Sequence[PlannedTrial]]) -> Compared | None:
    """Return the row of a trial that has no finished counterpart, or nothing to be held against; None where both are there.

    Parameters
    ----------
    before
        the trial in the baseline.
    repeats
        of its counterpart; none where the candidate has no such trial.
    unmatched
        the candidate's trials that the baseline does not have, by match key.
    """
    if not repeats:
        return _without_counterpart(before, unmatched)
    unfinished = not_done(repeats)
    if any(planned.state == "failed" for planned in repeats):
        return _row(before, FAILED, "; ".join(unfinished))
    if unfinished:
        return _row(before, MISSING, f"{'; '.join(unfinished)} (finish the campaign with `resume`)")
    if not before.rounds:
        return _row(before, f"{NO_VERDICT}: not measured in the baseline", "; ".join(before.not_done))
    return None


def _without_counterpart(before: BaselineTrial, unmatched: Mapping[str, Sequence[PlannedTrial]]) -> Compared:
    alike = nearest(before, unmatched)
    if alike is None:
        return _row(before, MISSING, "the candidate has no such trial")
    key, settings = alike
    if settings:
        return _row(before, MISSING, f"the nearest, {key}, differs in {', '.join(settings)}")
    return _row(before, f"{NO_VERDICT}: the data or weights differ", f"{key} has the same settings and another content")


def measured(
    before: BaselineTrial, loaded_before: Sequence[TrialData], loaded: Sequence[TrialData], seed: int, repeats: int
) -> Iterator[Compared]:
    """Yield the rows of a trial that both sides have, one per threshold, without verdicts.

    ``loaded_before`` is empty where the baseline is a file; ``repeats`` is how many the candidate should have.
    """
    if len(loaded) < repeats:
        yield _row(before, MISSING, f"{repeats - len(loaded)} of {repeats} repeats have no stored round")
        return
    if why := why_not_comparable(before, loaded):
        yield _row(before, f"{NO_VERDICT}: {why}")
        return
    ideal = mean_ideal(loaded)
    if before.ideal is None or ideal is None:
        yield _row(before, f"{NO_VERDICT}: quality is undefined", "the task has nothing to be right about")
        return
    if not before.thresholds:
        yield _row(before, f"{NO_VERDICT}: no threshold", "too many samples of the baseline have no time")
        return
    thresholds = [threshold_of(stored) for stored in before.thresholds]
    inferences = loaded[0].inferences["total"].shape[1]
    fewest = min(*before.rounds, *(len(data.times["total"]) for data in loaded))
    flags = dict.fromkeys((*before.flags, *before.not_done, *flags_of_repeats(loaded, thresholds[0])))
    for stored, threshold, means in zip(before.thresholds, thresholds, means_at(loaded, thresholds), strict=True):
        yield Compared(
            match_key=before.match_key,
            trial=before.trial,
            outcome=NO_VERDICT,
            metric=before.metric,
            threshold=threshold,
            ideal_before=before.ideal,
            ideal=ideal,
            means_before=stored.means,
            means=tuple(means),
            resolution=1 / (fewest * inferences),
            slowed=stored.slowed,
            scopes=scopes_of(loaded_before, loaded, threshold, seed),
            flags=tuple(flags),
        )


def threshold_of(stored: BaselineThreshold) -> Threshold:
    """Return a stored threshold as one."""
    return Threshold(stored.label, stored.ns, stored.origin)


def _row(before: BaselineTrial, outcome: str, why: str = "") -> Compared:
    return Compared(before.match_key, before.trial, outcome, why, metric=before.metric, flags=before.flags)
