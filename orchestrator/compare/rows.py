"""The rows of one baseline trial: what it is compared with and at what, or why it cannot be, and their verdicts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from orchestrator.analysis.quality import intervals
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import on_time_scores, possible, replicates_of
from orchestrator.compare.baseline import BaselineTrial
from orchestrator.compare.differences import DRAWS, differences
from orchestrator.compare.sides import digests_of, flags_of_repeats, mean_ideal, means_at, not_done
from orchestrator.configuration.config import Trial
from orchestrator.report.html import said
from orchestrator.stats.constants import FEWEST_REPEATS
from orchestrator.stats.pair import ANYWHERE, Design, Difference, Replicates, Verdict, answered, compare_answered, gate, untested
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.variance_components import FEWEST_PROCESSES, mean_of_processes
from orchestrator.storage.records import PlannedTrial

say = partial(said, "orchestrator.compare")
WHOSE = {"data": "data", "model": "weights"}


def why_not_comparable(before: BaselineTrial, loaded: Sequence[TrialData], repeats: int, two_models: bool) -> tuple[str, str] | None:
    """Return the outcome of two matched trials whose figures cannot be compared, and more words on why; None if they can."""
    if len(loaded) < repeats:
        return MISSING, f"{repeats - len(loaded)} of {repeats} repeats have no stored round"
    theirs = digests_of(loaded)
    for name, whose in WHOSE.items():
        if not (two_models and name == "model") and len({*before.digests.get(name, ()), *theirs[name]}) > 1:
            return f"{NO_VERDICT}: the {whose} differ", ""
    metric, samples = loaded[0].metric, loaded[0].times[loaded[0].clock].shape[1]
    if metric != before.metric:
        return f"{NO_VERDICT}: the metric was {before.metric} and is {metric}", ""
    if samples != before.samples:
        return f"{NO_VERDICT}: {before.samples} samples were measured before and {samples} now", ""
    if before.ideal is None or mean_ideal(loaded) is None:
        return f"{NO_VERDICT}: quality is undefined", "the task has nothing to be right about"
    return None if before.thresholds else (f"{NO_VERDICT}: no threshold", "too many samples of the baseline have no time")


def interval_of(
    means: Sequence[float], loaded: Sequence[TrialData], ideal: float, ns: int, resolution: float
) -> tuple[float, float] | None:
    """Return the interval of one side by itself: over its repeats, or of a single one over its visits; None of a single one in a file."""
    if len(means) >= FEWEST_PROCESSES:
        _, low, high = mean_of_processes(means, resolution)
        return max(low, 0.0), min(high, max(ideal, *means))
    if not loaded:
        return None
    [data] = loaded
    judged = data.judged(data.metric)
    [found] = intervals(judged, judged.curve(data.times[data.clock], [ns]), data.answers_at_stake(judged), data.visits)
    return found.low, found.high


NO_VERDICT, MISSING, FAILED, WORSE = "no verdict", "missing", "failed", "worse"
SAME = "no difference shown"
APART = f"{NO_VERDICT}: measured apart"
FINISH = "finish the campaign first"


@dataclass(frozen=True)
class Compared:
    """One trial of the baseline at one threshold.

    outcome
        ``worse``, ``better``, ``no difference shown``, ``no verdict: ...``, ``missing`` or ``failed``.
    why
        reason of an outcome without figures, in words.
    threshold, means_before, means
        None and empty where nothing could be compared. The means are one per repeat.
    interval_before, interval
        of either side by itself; None where nothing shows it.
    replicates
        what the verdict rests on; None of two campaigns that were measured apart.
    slowed
        the baseline's mean quality if all its times were longer by each of its ``slow_downs``.
    verdict, samples_like_these
        what the replicates show; what the samples show of pairs.
    slow_down
        share by which all times may grow before the repeats show it with 80 % power; None if that is unknown.
    nearest
        of a trial without a counterpart the candidate's trial of other settings that is most like it; None where there is none.
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
    interval_before: tuple[float, float] | None = None
    interval: tuple[float, float] | None = None
    replicates: Replicates | None = None
    slowed: tuple[float, ...] = ()
    verdict: Verdict | None = None
    samples_like_these: Difference | None = None
    slow_down: float | None = None
    flags: tuple[str, ...] = ()
    nearest: PlannedTrial | None = None

    @property
    def kind(self) -> str:
        return NO_VERDICT if self.outcome.startswith(NO_VERDICT) else self.outcome

    @property
    def apart(self) -> bool:
        """Whether both sides have figures and were measured apart, so that drift of the machine looks like a change."""
        return bool(self.means) and self.replicates is None

    @property
    def difference(self) -> Difference | None:
        """The difference, now minus before, without limits where there is no verdict; None where nothing could be compared."""
        if self.verdict is not None:
            return self.verdict.found
        if not self.means:
            return None
        return untested(float(np.mean(self.means) - np.mean(self.means_before)))

    @property
    def smallest_effect(self) -> float:
        """The smallest change that would be found: a slow-down of all times, or, where none was looked at, a share of quality."""
        if self.slowed:
            return math.inf if self.slow_down is None else self.slow_down
        mean = sum(self.means_before) / len(self.means_before) if self.means_before else 0.0
        return self.verdict.detectable_drop / mean if self.verdict is not None and mean > 0 else math.inf


def refused(before: BaselineTrial, repeats: Sequence[PlannedTrial], nearest: PlannedTrial | None = None) -> Compared | None:
    """Return the row of a trial that has no finished counterpart or was not measured itself; None if both were measured.

    Parameters
    ----------
    before
        the trial in the baseline.
    repeats
        of its counterpart; none where the candidate has no such trial.
    nearest
        the candidate's trial that is most like one without a counterpart, if there is one.
    """
    if not repeats and nearest is None:
        return unjudged(before, MISSING, "the candidate has no such trial")
    if not repeats and nearest is not None:
        settings = differences(before.trial, nearest.trial)
        if all(one.startswith(DRAWS) for one in settings):
            why = f"{nearest.match_key} has the same settings and another content" + (
                f", for it has {', '.join(settings)}" if settings else ""
            )
            return unjudged(before, f"{NO_VERDICT}: the data or weights differ", why, nearest if settings else None)
        return unjudged(before, MISSING, f"the nearest, {nearest.match_key}, differs in {', '.join(settings)}", nearest)
    unfinished = not_done(repeats)
    if any(planned.state == "failed" for planned in repeats):
        return unjudged(before, FAILED, "; ".join(unfinished))
    if unfinished:
        return unjudged(before, MISSING, f"{'; '.join(unfinished)} ({FINISH})")
    if not before.rounds:
        return unjudged(before, f"{NO_VERDICT}: not measured in the baseline", "; ".join(before.not_done))
    return None


def measured(
    before: BaselineTrial,
    loaded_before: Sequence[TrialData],
    loaded: Sequence[TrialData],
    repeats: int,
    design: Design | None,
    *,
    two_models: bool,
) -> Iterator[Compared]:
    """Yield the rows of a trial that both sides have, one per threshold, without verdicts.

    ``loaded_before`` is empty where the baseline is a file; ``repeats`` is how many the candidate should have; ``design`` is None of two
    campaigns that were measured apart; ``two_models`` is whether their weights may differ.
    """
    if refusal := why_not_comparable(before, loaded, repeats, two_models):
        yield unjudged(before, *refusal)
        return
    ideal = mean_ideal(loaded)
    assert before.ideal is not None
    assert ideal is not None
    thresholds = [stored.threshold for stored in before.thresholds]
    inferences = loaded[0].inferences[loaded[0].clock].shape[1]
    resolution = 1 / (inferences * min(*before.rounds, *(len(data.times[data.clock]) for data in loaded)))
    within = (-before.ideal, ideal) if all(data.judged(data.metric).is_bounded for data in loaded) else ANYWHERE
    flags = dict.fromkeys((*before.flags, *before.not_done, *flags_of_repeats(loaded, thresholds)))
    for stored, threshold, means in zip(before.thresholds, thresholds, means_at(loaded, thresholds), strict=True):
        replicates = None if design is None else Replicates(stored.means, means, design, resolution, within)
        if design == "pairs":
            alternating = replicates_of(loaded_before, loaded, (stored.means, means))
            replicates = None if len(alternating.a) < FEWEST_REPEATS <= len(means) else alternating
        # On samples like these all rounds of the repeats are pooled; a metric that is no mean over samples has no scores.
        scores = on_time_scores(loaded_before, loaded, threshold) if replicates and design == "pairs" else None
        like_these = None if scores is None else compare_answered(*map(answered, scores), within=possible(loaded_before[0], loaded[0]))
        yield Compared(
            match_key=before.match_key,
            trial=before.trial,
            outcome=APART,
            metric=before.metric,
            threshold=threshold,
            ideal_before=before.ideal,
            ideal=ideal,
            means_before=stored.means,
            means=tuple(means),
            interval_before=interval_of(stored.means, loaded_before, before.ideal, threshold.ns, resolution),
            interval=interval_of(means, loaded, ideal, threshold.ns, resolution),
            replicates=replicates,
            slowed=stored.slowed,
            samples_like_these=like_these,
            flags=tuple(flags),
        )


def unjudged(before: BaselineTrial, outcome: str, why: str = "", nearest: PlannedTrial | None = None) -> Compared:
    """Return the row of a trial of which there is nothing to compare."""
    return Compared(before.match_key, before.trial, outcome, why, metric=before.metric, flags=before.flags, nearest=nearest)


BLIND = "too blind"


def judged_rows(rows: Sequence[Compared], slow_downs: Sequence[float], min_effect: float | None) -> Iterator[Compared]:
    """Yield the rows with the verdict of their repeats; every trial at every threshold is a member of one family.

    Parameters
    ----------
    slow_downs
        shares, those of ``slowed``.
    min_effect
        the slow-down that must be found at one of a trial's thresholds at least; None asks for nothing.
    """
    family = {str(index): row.replicates for index, row in enumerate(rows) if row.replicates is not None}
    found = gate(family)
    judged = [_judged(row, found.get(str(index)), slow_downs) for index, row in enumerate(rows)]
    seeing = {row.match_key for row in judged if min_effect is None or row.outcome != SAME or row.smallest_effect <= min_effect}
    for row in judged:
        if row.outcome == SAME and row.match_key not in seeing:
            tested = row.verdict is not None and math.isfinite(row.verdict.detectable_drop)
            effect = percent(row.smallest_effect) if math.isfinite(row.smallest_effect) else ""
            why = say("could_find", tested=tested, slowed=bool(row.slowed), effect=effect)
            yield replace(row, outcome=f"{NO_VERDICT}: {BLIND}", why=why)
        else:
            yield row


def percent(share: float) -> str:
    """Write a share in percent, with two significant digits below 10 %."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _judged(row: Compared, verdict: Verdict | None, slow_downs: Sequence[float]) -> Compared:
    if verdict is None:
        return row
    costs = (abs(quality - row.slowed[0]) for quality in row.slowed)
    shares = zip(slow_downs, costs, strict=bool(row.slowed))
    slow_down = next((share for share, cost in shares if cost >= verdict.detectable_drop), None)
    return replace(row, outcome=verdict.outcome, verdict=verdict, slow_down=slow_down)
