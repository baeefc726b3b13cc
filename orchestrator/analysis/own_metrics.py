"""Metrics as they are asked: every call of a user's own metric stands here, and nowhere else.

Its code gets answers that no other metric sees, and times that it cannot change. What it returns is copied and looked at here. Whatever is
wrong with it is one line that names the metric, the place in the user's file, the rule and the remedy.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.endings import ends_the_program
from orchestrator.kept_settings import SettingsKept
from orchestrator.metrics import Answers, Judged, MeanMetric, Part, PartedMetric, WholeTaskMetric, find_metric
from orchestrator.subject.targets import harmless, keep_traceback, one_line, place_of, traceback_text

LARGEST, SMALLEST = 1e15, 1e-30
"""Sizes of scores and qualities that every statistic can hold, and figures in single precision too."""
AGREE, ROUNDING = 1e-5, 1e-15
"""Two qualities are the same to within this share of ideal or late quality (a metric may compute in single precision), or within this."""
REPAIR = "repair the metric, or name another"
ATOMS = (str, int, float, bool, bytes, type(None))


class MetricBroken(InputError):
    """A user's own metric raises, or returns what is no quality."""


class AskedMetric:
    """A metric by its name, ready to be asked; one of ours is asked as it is.

    Raises InputError for an unknown metric, and here as in every method MetricBroken for one that is broken.

    Attributes
    ----------
    is_ours
        whether it is one of this program's.
    is_mean
        whether it is a mean of scores, else it judges the whole task.
    late
        the score of a late sample; None where the metric does not say.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._metric = find_metric(name)
        self.is_ours = type(self._metric).__module__.startswith("orchestrator.metrics.")
        self.is_mean = isinstance(self._metric, MeanMetric)
        self.late = self._late()

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return the score of each sample, [S]."""
        function, samples = cast(MeanMetric, self._metric).score, len(answers.predictions)
        found = np.asarray(function(answers)) if self.is_ours else self.numbers("score", function, own_answers(answers))
        if found.shape != (samples,):
            raise self.refused(
                "score", function, f"{found.dtype} of shape {found.shape}", f"it must return {samples} numbers, one a sample"
            )
        wrong = ~np.isfinite(found) | (found < 0 if self.late is None else False)
        if wrong.any():
            bound = "finite and not negative, unless the metric has `late`" if self.late is None else "finite"
            raise self.refused("score", function, str(found[wrong][0]), f"scores must be {bound}")
        self.check_size("score", function, found)
        return found.astype(np.float64)

    def judge(self, answers: Answers) -> Judged:
        """Compare answers with references, once for all thresholds, rounds and clocks."""
        function = cast(WholeTaskMetric, self._metric).judge
        if self.is_ours:
            return function(answers)
        return self._judged("judge", function, self.call("judge", function, own_answers(answers)), len(answers.predictions))

    def judge_parts(self, name: str, answers: Answers) -> Mapping[str, Part]:
        """Return the groups of a slice that the metric makes of parts of samples; none where it makes no such slice."""
        if not isinstance(self._metric, PartedMetric) or name not in self._metric.parts:
            return {}
        function = self._metric.judge_parts
        if self.is_ours:
            return function(name, answers)
        found = self.call("judge_parts", function, name, own_answers(answers))
        if not isinstance(found, Mapping) or not all(isinstance(part, Part) for part in found.values()):
            raise self.refused("judge_parts", function, type(found).__name__, "it must return a mapping from each group to a Part")
        samples = len(answers.predictions)
        return {str(group): Part(self._judged("judge_parts", function, part.judged, samples), part.count) for group, part in found.items()}

    def _judged(self, name: str, function: Callable[..., Any], judged: object, samples: int) -> Judged:
        if not isinstance(judged, Judged):
            raise self.refused(name, function, type(judged).__name__, "it must return an object with ideal() and curve(times, thresholds)")
        return OwnJudged(self, judged, samples)

    def _late(self) -> float | None:
        late = self.call("late", getattr, self._metric, "late", None)
        if late is None:
            return None
        if not isinstance(late, int | float | np.integer | np.floating) or not -LARGEST <= float(late) <= LARGEST:
            shown = harmless(repr(late))[:100]
            raise MetricBroken(f"metric {self.name}: late={shown}: must be a finite number up to {LARGEST:g}, the score of a late sample")
        return float(late)

    def call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call code of the user's, and keep the program's settings. Raises MetricBroken for what it raises, but for the program's end."""
        try:
            with SettingsKept():
                return function(*arguments)
        except BaseException as error:  # also SystemExit: nothing that a metric raises may end the program
            if ends_the_program(error):
                raise
            remedy = "let it work on a copy: what it is given is read-only" if "read-only" in one_line(error) else REPAIR
            where = place_of(error) or _place(function)
            broken = MetricBroken(f"metric {self.name}: {name} raised {one_line(error)}{where}; {remedy}")
            keep_traceback(broken, traceback_text(error))
            raise broken from error

    def numbers(self, name: str, function: Callable[..., Any], *arguments: Any) -> NDArray[Any]:
        """Return the numbers that code of the user's returns, as a copy."""
        returned = self.call(name, function, *arguments)
        if np.ma.is_masked(returned):
            raise self.refused(name, function, "a masked array", "its mask would be lost: it must return a number for everything")
        try:
            found = np.array(returned)
        except Exception as error:
            raise self.refused(name, function, f"what is no array ({one_line(error)})", "it must return numbers") from error
        if found.dtype.kind not in "iufb":
            what = type(returned).__name__ if found.shape == () else f"{found.dtype} of shape {found.shape}"
            raise self.refused(name, function, what, "it must return numbers")
        return found

    def check_size(self, name: str, function: Callable[..., Any], found: NDArray[Any]) -> None:
        """Refuse numbers that are too large or, all together, too small for statistics."""
        largest = float(np.abs(found.astype(np.float64)).max(initial=0.0))
        if largest > LARGEST or 0 < largest < SMALLEST:
            rule = f"the largest must be 0, or from {SMALLEST:g} to {LARGEST:g} in size: choose another unit"
            raise self.refused(name, function, f"{largest:g}", rule)

    def refused(self, name: str, function: Callable[..., Any], what: str, rule: str) -> MetricBroken:
        """Return the error for what code of the user's has returned."""
        return MetricBroken(f"metric {self.name}: {name} returned {what}{_place(function)}; {rule}")


class OwnJudged:
    """Answers that a user's own metric has judged.

    Ideal quality is asked for once, and the curve must agree with it. Three rounds are asked for twice, in which every answer, every second
    one and none takes 2 ns: at 1 ns all are late.
    """

    def __init__(self, asked: AskedMetric, judged: Judged, samples: int) -> None:
        self._asked, self._judged = asked, judged
        self._ideal = self._ideal_quality()
        late = 0.0 if asked.late is None else asked.late
        within = max(AGREE * max(abs(late), 0.0 if math.isnan(self._ideal) else abs(self._ideal)), ROUNDING)
        rounds = np.full((3, samples), 2.0)
        rounds[1, ::2] = rounds[2] = np.inf
        first, again = (self.curve(rounds, [1.0, 2.0]) for _ in range(2))
        if (differs := ~np.isclose(first, again, rtol=0, atol=within, equal_nan=True)).any():
            what = f"{first[differs][0]:g} and then {again[differs][0]:g} for the same times"
            raise asked.refused("curve", judged.curve, what, "it must depend on nothing but times and thresholds")
        if not math.isnan(self._ideal):
            self._check(first[1, :1], self._ideal, within, "on time", "as ideal()")
            self._check(np.append(first[0], first[1, 2]), late, within, "late", "the metric's `late`, 0 where it has none")

    def _check(self, found: NDArray[np.float64], expected: float, within: float, when: str, name: str) -> None:
        if (wrong := np.abs(found - expected) > within).any():
            what = f"{found[wrong][0]:g} where every answer is {when}"
            raise self._asked.refused("curve", self._judged.curve, what, f"it must be {expected:g}, {name}")

    def _ideal_quality(self) -> float:
        found = self._asked.numbers("ideal", self._judged.ideal)
        if found.shape != () or np.isinf(found):
            what = f"{found.dtype} of shape {found.shape}" if found.shape else str(found)
            raise self._asked.refused(
                "ideal", self._judged.ideal, what, "it must return a finite number, or NaN where nothing can be right"
            )
        self._asked.check_size("ideal", self._judged.ideal, np.nan_to_num(found))
        return float(found)

    def ideal(self) -> float:
        """Return quality without a threshold."""
        return self._ideal

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return tail quality, [M, R], of times [R, S] in ns at time bounds [M] in ns."""
        seen, bounds = _read_only(times), _read_only(thresholds)
        found = self._asked.numbers("curve", self._judged.curve, seen, bounds)
        if found.shape != (bounds.size, len(seen)):
            rule = f"it must return shape {(bounds.size, len(seen))}: thresholds, rounds"
            raise self._asked.refused("curve", self._judged.curve, f"shape {found.shape}", rule)
        undefined = math.isnan(self._ideal)
        wrong = ~np.isnan(found) if undefined else ~(np.abs(found) <= LARGEST)
        if wrong.any():
            rule = "it must be NaN, as ideal()" if undefined else f"it must be finite and up to {LARGEST:g} in size"
            raise self._asked.refused("curve", self._judged.curve, str(found[wrong][0]), rule)
        return found.astype(np.float64, copy=False)


def own_answers(answers: Answers) -> Answers:
    """Return a copy that shares nothing that can be changed with the answers."""
    slices = {name: list(groups) for name, groups in answers.slices.items()}
    return Answers(_copied(answers.predictions), _copied(answers.references), slices)


def _copied(value: Any) -> Any:
    """Return a deep copy of plain values, two to four times as fast as `copy.deepcopy`."""
    if isinstance(value, ATOMS):
        return value
    if type(value) is list:
        return [one if type(one) in ATOMS else _copied(one) for one in value]
    if type(value) is dict:
        return {key: _copied(one) for key, one in value.items()}
    return copy.deepcopy(value)


def _read_only(values: ArrayLike) -> NDArray[Any]:
    """Return a view that cannot be written."""
    found = np.asarray(values).view()
    found.setflags(write=False)
    return found


def _place(function: Callable[..., Any]) -> str:
    """Return `` (mine.py, line 12, in score)``, where a function of the user's begins; nothing for one that is no Python."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "" if code is None else f" ({harmless(Path(code.co_filename).name)}, line {code.co_firstlineno}, in {code.co_name})"
