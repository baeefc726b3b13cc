"""The rows of one baseline trial: what it is compared with and at what, or why it cannot be."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.late_answers import on_time_scores, one_inference
from orchestrator.analysis.trial_data import TrialData
from orchestrator.compare.baseline import BaselineTrial
from orchestrator.compare.settings import differences, drawn_otherwise
from orchestrator.compare.sides import digests_of, flags_of_repeats, mean_ideal, means_at, not_done
from orchestrator.configuration.config import Trial
from orchestrator.stats.comparison import Difference, compare_rounds, compare_samples
from orchestrator.stats.gate import Verdict
from orchestrator.stats.replication import Design
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.records import PlannedTrial

WHOSE = {"data": "data", "model": "weights"}


def why_not_comparable(before: BaselineTrial, loaded: Sequence[TrialData], design: Design) -> str | None:
    """Return why the figures of two matched trials cannot be compared, or None. Models of a pair may be two."""
    theirs = digests_of(loaded)
    for name, whose in WHOSE.items():
        if design == "pairs" and name == "model":
            continue
        mine = before.digests.get(name, ())
        if len({*mine, *theirs[name]}) > 1:
            return f"the {whose} differ"
    metric = loaded[0].metric
    if metric != before.metric:
        return f"the metric was {before.metric} and is {metric}"
    samples = loaded[0].times[loaded[0].clock].shape[1]
    return f"{before.samples} samples were measured before and {samples} now" if samples != before.samples else None


@dataclass(frozen=True)
class Scopes:
    """Differences of mean tail quality, candidate minus baseline; None if a scope has none.

    this_data_set
        rounds of all repeats could have come out otherwise.
    samples_like_these
        rounds and samples could have been others; None for a metric that is no mean over samples.
    """

    this_data_set: Difference | None = None
    samples_like_these: Difference | None = None


def scopes_of(before: Sequence[TrialData], after: Sequence[TrialData], threshold: Threshold, seed: int) -> Scopes:
    """Return both scopes for the repeats of one match key, their rounds pooled.

    The two sides were never interleaved with each other, so that no round has a partner.

    Parameters
    ----------
    before, after
        repeats of the baseline, none if it is a file, and of the candidate.
    threshold
        on the total clock.
    seed
        of the bootstrap; equal seeds give equal figures.
    """
    if not before or not after:
        return Scopes()
    here, there = (np.concatenate([_qualities(data, threshold) for data in side]) for side in (before, after))
    this = compare_rounds(here, there, resolution=one_inference([*before, *after]))
    scores = on_time_scores(before, after, threshold)
    if scores is None:
        return Scopes(this)
    random = np.random.default_rng([seed, zlib.crc32(f"{before[0].record.match_key} {threshold.label}".encode())])
    return Scopes(this, compare_samples(*scores, random))


def _qualities(data: TrialData, threshold: Threshold) -> NDArray[np.float64]:
    qualities: NDArray[np.float64] = data.judged(data.metric).curve(data.times[data.clock], [threshold.ns])[0]
    return qualities


NO_VERDICT, MISSING, FAILED, WORSE = "no verdict", "missing", "failed", "worse"
SAME = "no difference shown"
FINISH = "finish the campaign with `resume`"


@dataclass(frozen=True)
class Drift:
    """A change of the machine's speed between two measurements that alone would make a verdict another one.

    share
        by which all times of the candidate were longer (shorter, if negative) for that reason.
    becomes
        the verdict without it, or, where no difference is shown, with it.
    """

    share: float
    becomes: str


@dataclass(frozen=True)
class Nearest:
    """A trial of the candidate that is most like one of the baseline without a counterpart, and how often that one was measured."""

    match_key: str
    trial: Trial
    repeats_before: int


@dataclass(frozen=True)
class Compared:
    """One trial of the baseline at one threshold.

    outcome
        ``worse``, ``better``, ``no difference shown``, ``no verdict: ...``, ``missing`` or ``failed``.
    why
        reason of an outcome without figures, in words.
    threshold, means_before, means
        None and empty where nothing could be compared. The means are one per repeat.
    resolution
        change of a repeat's mean by one inference in one round.
    design
        how the repeats of both sides belong together.
    slowed, quickened
        the baseline's mean quality if all its times were longer, or shorter, by each of its ``slow_downs``.
    verdict, scopes
        what the repeats show, None if nothing could be compared; what the rounds show.
    slow_down
        share by which all times may grow before the repeats show it with 80 % power; None if that is unknown.
    drift
        the least drift of the machine that would turn the verdict; None if that is unknown or nothing would.
    nearest
        of a trial without a counterpart the candidate's trial of other settings that is most like it; None where there is none.
    unlike
        whether the candidate lacks it, or has other data, weights, samples or repeats, so that nothing could be compared.
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
    design: Design = "two samples"
    slowed: tuple[float, ...] = ()
    quickened: tuple[float, ...] = ()
    verdict: Verdict | None = None
    scopes: Scopes = field(default_factory=Scopes)
    slow_down: float | None = None
    drift: Drift | None = None
    flags: tuple[str, ...] = ()
    nearest: Nearest | None = None
    unlike: bool = False

    @property
    def kind(self) -> str:
        """The outcome without its reason."""
        return NO_VERDICT if self.outcome.startswith(NO_VERDICT) else self.outcome

    @property
    def differs(self) -> bool:
        """Whether the two sides cannot be one measurement."""
        if self.unlike or len(self.means_before) != len(self.means):
            return True
        pairs = [(self.ideal_before or 0.0, self.ideal or 0.0), *zip(self.means_before, self.means, strict=True)]
        return not all(math.isclose(mine, theirs) for mine, theirs in pairs)

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
    if not repeats:
        return _without_counterpart(before, nearest)
    unfinished = not_done(repeats)
    if any(planned.state == "failed" for planned in repeats):
        return _row(before, FAILED, "; ".join(unfinished))
    if unfinished:
        return _row(before, MISSING, f"{'; '.join(unfinished)} ({FINISH})")
    if not before.rounds:
        return _row(before, f"{NO_VERDICT}: not measured in the baseline", "; ".join(before.not_done))
    return None


def too_few(before: BaselineTrial, repeats: int, fewest: int) -> Compared:
    """Return the row of a trial with fewer repeats than earlier campaigns, whose means vary less than its own."""
    return _row(before, f"{NO_VERDICT}: fewer repeats than the baseline", f"{repeats}, and its campaigns have {fewest}", unlike=True)


def _without_counterpart(before: BaselineTrial, nearest: PlannedTrial | None) -> Compared:
    if nearest is None:
        return _row(before, MISSING, "the candidate has no such trial", unlike=True)
    found = Nearest(nearest.match_key, nearest.trial, len(before.rounds))
    if settings := differences(before.trial, nearest.trial):
        return _row(before, MISSING, f"the nearest, {nearest.match_key}, differs in {', '.join(settings)}", found, unlike=True)
    drawn = drawn_otherwise(before.trial, nearest.trial)
    why = f"{nearest.match_key} has the same settings and another content" + (f", for it has {', '.join(drawn)}" if drawn else "")
    return _row(before, f"{NO_VERDICT}: the data or weights differ", why, found if drawn else None, unlike=True)


def measured(
    before: BaselineTrial,
    loaded_before: Sequence[TrialData],
    loaded: Sequence[TrialData],
    seed: int,
    repeats: int,
    design: Design = "two samples",
) -> Iterator[Compared]:
    """Yield the rows of a trial that both sides have, one per threshold, without verdicts.

    ``loaded_before`` is empty where the baseline is a file; ``repeats`` is how many the candidate should have.
    """
    if len(loaded) < repeats:
        yield _row(before, MISSING, f"{repeats - len(loaded)} of {repeats} repeats have no stored round")
        return
    if why := why_not_comparable(before, loaded, design):
        yield _row(before, f"{NO_VERDICT}: {why}", unlike=True)
        return
    ideal = mean_ideal(loaded)
    if before.ideal is None or ideal is None:
        yield _row(before, f"{NO_VERDICT}: quality is undefined", "the task has nothing to be right about")
        return
    if not before.thresholds:
        yield _row(before, f"{NO_VERDICT}: no threshold", "too many samples of the baseline have no time")
        return
    thresholds = [stored.threshold for stored in before.thresholds]
    inferences = loaded[0].inferences[loaded[0].clock].shape[1]
    fewest = min(*before.rounds, *(len(data.times[data.clock]) for data in loaded))
    flags = dict.fromkeys((*before.flags, *before.not_done, *flags_of_repeats(loaded, thresholds)))
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
            design=design,
            slowed=stored.slowed,
            quickened=stored.quickened,
            scopes=scopes_of(loaded_before, loaded, threshold, seed),
            flags=tuple(flags),
        )


def _row(before: BaselineTrial, outcome: str, why: str = "", nearest: Nearest | None = None, unlike: bool = False) -> Compared:
    row = Compared(before.match_key, before.trial, outcome, why, metric=before.metric, flags=before.flags)
    return replace(row, nearest=nearest, unlike=unlike)
