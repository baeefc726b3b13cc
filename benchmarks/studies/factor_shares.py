"""Do the intervals of omega^2 cover: shares of the variance of log time that go with factors, samples and processes?

Campaigns are drawn with known variances on balanced designs: factors (fixed), processes of 5 visits of 2 rounds, samples, and what two of
these have together. *normal*: all effects are. *skewed*: effects of samples, processes, visits and rounds are gamma of shape 2 (excess
kurtosis 3), and processes differ in how much single times vary, by 30 %. *little of samples*: normal, samples matter as little as those of
docs/study.md, and nearly half of the variance is that of single times.

Bar, at 95 %: every share of normal effects is covered in at least 90 %. *At least* is the least cover of a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.bars import falls_short
from benchmarks.studies.scenarios import generator
from orchestrator.study.variance import divide_variance

TITLE = "Coverage of the 95 % intervals of omega^2, in percent"
REPETITIONS = 300
RESAMPLES = 99
VISITS, PER_VISIT = 5, 2
BAR = 90.0
DEVIATIONS = {
    "sample": 0.3, "system x sample": 0.1, "process": 0.08, "visit": 0.05, "round": 0.06, "sample x process": 0.04, "rest": 0.1
}  # fmt: skip
LITTLE = DEVIATIONS | {"sample": 0.05, "system x sample": 0.02, "process": 0.02, "sample x process": 0.02, "rest": 0.35}
UNLIKE = 0.3
SOURCES = ("factor", "system", "sample", "process", "rest")


@dataclass(frozen=True)
class Case:
    """A design and a law: levels of two or three factors, processes of each combination, samples."""

    levels: tuple[int, ...]
    processes: int
    samples: int
    law: str

    @property
    def name(self) -> str:
        return f"{self.design}, {self.law}"

    @property
    def design(self) -> str:
        return f"{' x '.join(map(str, self.levels))} levels, {self.processes} processes, {self.samples} samples"


DESIGNS = (((2, 2, 3), 2, 20), ((2, 2, 3), 5, 20), ((2, 2, 4), 3, 10), ((2, 4), 3, 12), ((2, 4), 3, 40))
CASES = [Case(*design, law) for design in DESIGNS for law in ("normal", "skewed", "little of samples")]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row."""
    random = generator(seed, "factor_shares", case.name)
    names = dict(zip(("model", "runtime", "system") if len(case.levels) == 3 else ("runtime", "system"), case.levels, strict=True))
    true = true_shares(case)
    covered, widths = [], []
    for _ in range(repetitions):
        found = divide_variance(drawn(case, random), names, random, visits=VISITS, resamples=RESAMPLES)
        shares = [found[next(iter(names)) if source == "factor" else source] for source in SOURCES]
        covered.append([share.low <= true[source] <= share.high for share, source in zip(shares, SOURCES, strict=True)])
        widths.append([share.high - share.low for share in shares])
    covers = 100 * np.mean(covered, axis=0)
    return [
        {
            "design": case.design,
            "law": case.law,
            **{source: float(cover) for source, cover in zip(SOURCES, covers, strict=True)},
            "at least": float(covers.min()),
            "width of system's, median": float(np.median(widths, axis=0)[SOURCES.index("system")]),
            "bar": "none" if case.law == "skewed" else "missed" if falls_short(float(covers.min()), repetitions, BAR) else "holds",
        }
    ]


def deviations(case: Case) -> Mapping[str, float]:
    return LITTLE if case.law == "little of samples" else DEVIATIONS


def effects(case: Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the effects of the first factor and of systems."""
    return np.linspace(-0.5, 0.5, case.levels[0]), np.linspace(-0.4, 0.4, case.levels[-1])


def true_shares(case: Case) -> dict[str, float]:
    variances = {name: sd**2 for name, sd in deviations(case).items()}
    variances["system x sample"] *= 1 - 1 / case.levels[-1]  # of draws about their mean
    variances |= {name: float((of**2).mean()) for name, of in zip(("factor", "system"), effects(case), strict=True)}
    total = sum(variances.values())
    return {name: variance / total for name, variance in variances.items()}


def drawn(case: Case, random: np.random.Generator) -> NDArray[np.float64]:
    """Return log times, [*levels, processes, rounds, samples]."""

    def units(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        law = random.standard_normal(shape) if case.law != "skewed" else (random.gamma(2.0, 1.0, shape) - 2) / np.sqrt(2)
        return np.asarray(law * deviations(case)[name])

    levels, p, rounds, i = case.levels, case.processes, VISITS * PER_VISIT, case.samples
    lone = (1,) * len(levels)
    first, system = effects(case)
    table = first.reshape(-1, *lone[1:], 1, 1, 1) + system.reshape(*lone[1:], -1, 1, 1, 1)
    own = units("system x sample", (*lone[1:], levels[-1], 1, 1, i))
    table = table + own - own.mean(axis=len(levels) - 1, keepdims=True) + units("sample", (*lone, 1, 1, i))
    table = table + units("process", (*levels, p, 1, 1)) + units("sample x process", (*levels, p, 1, i))
    table = table + np.repeat(units("visit", (*levels, p, VISITS, 1)), PER_VISIT, axis=-2) + units("round", (*levels, p, rounds, 1))
    rest = random.standard_normal((*levels, p, rounds, i)) * deviations(case)["rest"]
    if case.law == "skewed":
        rest *= random.lognormal(-(UNLIKE**2), UNLIKE, (*levels, p, 1, 1))  # the mean of its square is 1
    return np.asarray(table + rest)
