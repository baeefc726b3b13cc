"""The trajectory by which each trial stopped, as its stopping rule saw it while it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_type_hints

from orchestrator.stats.stopping import CHECK_COLUMNS
from orchestrator.stats.times import SERVICE_CLOCKS, Clock
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters

WINDOW = 5
"""Earlier fits that a density is compared with."""
CONFIDENCE = 0.95
"""Of half-widths."""


MEANINGS = {
    "rounds": "how many rounds there were",
    "rjsd_bound": "at most this is settled",
    "primary_threshold": "label of the primary threshold",
    "primary_threshold_ns": "the time bound",
    "primary_threshold_origin": "`absolute` or `own`",
    "quality_mean": "mean tail quality there so far",
    "half_width": "half of the width of its 95 % interval",
    "half_width_bound": "at most this is precise enough",
    "percentile": "that is to be certified",
    "overruns": "inferences beyond it that are allowed",
    "samples_needed": "inferences that are needed",
    "samples_effective": "independent inferences that there are",
    "design_effect": "by how much the share beyond varies more between rounds than between independent inferences",
    **{f"rjsd_{clock}": f"distance of the density of {clock} times from earlier ones" for clock in SERVICE_CLOCKS},
    **{
        f"rjsd_{clock}_as_in_paper_code": "the figure that the paper's program prints, where rule `paper` makes its comparisons"
        for clock in SERVICE_CLOCKS
    },
    **{f"bandwidth_{clock}": f"of the density of the logarithm of {clock} time" for clock in SERVICE_CLOCKS},
    **{f"bandwidth_{clock}_method": "how it was chosen" for clock in SERVICE_CLOCKS},
}
OF_TYPE = {int: Int64, float: float, str: str, bool: bool}
CONVERGENCE_ROW: dict[str, Any] = {
    **get_type_hints(Labels, include_extras=True),
    "rule": Annotated[str, "its name"],
    "reason": Annotated[str | None, "why it stopped the trial"],
    **{name: Annotated[OF_TYPE[kind] | None, MEANINGS[name]] for name, kind in CHECK_COLUMNS.items()},
    "rounds": Annotated[Int32, MEANINGS["rounds"]],
    "method": Annotated[str, "how densities are estimated"],
    "parameters": Annotated[Parameters, "what the method was given, and the numbers that a rule tells of its own, by name"],
    "flags": Annotated[list[str], "what a reader must know of the trial"],
}
"""The columns of a row: one per check of a stopping rule, as it was made while the trial ran."""


def rjsd_column(record: TrialRecord, clock: Clock) -> str:
    """Return the column of the distance that a trial's rule looked at: under rule ``paper`` that of the paper's program."""
    by_program = record.stopping is not None and record.stopping.rule == "paper"
    return f"rjsd_{clock}_as_in_paper_code" if by_program else f"rjsd_{clock}"


def convergence_rows(record: TrialRecord) -> Iterator[dict[str, Any]]:
    """Yield one row per check for ``convergence.parquet``."""
    if record.stopping is None:
        return
    for check in record.stopping.checks:
        yield {
            **record.labels(),
            "rule": record.stopping.rule,
            "reason": record.stopping.reason,
            **{name: check.get(name) for name in CHECK_COLUMNS},
            "method": "Gaussian kernel density of log time, improved Sheather-Jones",
            "parameters": {"window": float(WINDOW), "confidence": CONFIDENCE, **_own_numbers(check)},
            "flags": list(record.flags_of_figures),
        }


def _own_numbers(check: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers that a rule reports besides the columns of all rules."""
    return {name: float(value) for name, value in check.items() if name not in CHECK_COLUMNS and type(value) in (int, float)}
