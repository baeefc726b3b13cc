"""The trajectory by which each trial stopped, as its stopping rule saw it while it ran."""

from collections.abc import Iterator

from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.stats.stopping import CHECK_COLUMNS
from orchestrator.stats.times import SERVICE_CLOCKS
from orchestrator.storage.records import TrialRecord

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
    "design_effect": "by how much the share beyond varies more between rounds than between "
    "independent inferences",
}
for _clock in SERVICE_CLOCKS:
    MEANINGS |= {
        f"rjsd_{_clock}": f"distance of the density of {_clock} times from earlier ones",
        f"rjsd_{_clock}_as_in_paper_code": "the figure that the paper's program prints, where rule "
        "`paper` makes its comparisons",
        f"bandwidth_{_clock}": f"of the density of the logarithm of {_clock} time",
        f"bandwidth_{_clock}_method": "how it was chosen",
    }
TYPES = {int: "int64?", float: "float?", str: "str?", bool: "bool?"}


@table(
    "convergence",
    (
        Column("rule", "str", "its name"),
        Column("reason", "str?", "why it stopped the trial"),
        *(
            Column(name, "int32" if name == "rounds" else TYPES[kind], MEANINGS[name])
            for name, kind in CHECK_COLUMNS.items()
        ),
        Column("method", "str", "how densities are estimated"),
        Column(
            "parameters",
            "map",
            "what the method was given, and the numbers that a rule tells of its own, by name",
        ),
        FLAGS,
    ),
    per="campaign",
)
def convergence(context: Context) -> Iterator[Row]:
    """Yield a row per check, as a rule made it."""
    for record in context.records:
        for check in () if record.stopping is None else record.stopping.checks:
            own = {name: value for name, value in check.items() if name not in CHECK_COLUMNS}
            numbers = {name: float(one) for name, one in own.items() if type(one) in (int, float)}
            yield {
                **record.labels(),
                "rule": record.stopping and record.stopping.rule,
                "reason": record.stopping and record.stopping.reason,
                **{name: check.get(name) for name in CHECK_COLUMNS},
                "method": "Gaussian kernel density of log time, improved Sheather-Jones",
                "parameters": {"window": 5.0, "confidence": 0.95, **numbers},
                "flags": list(record.flags_of_figures),
            }


def rjsd_column(record: TrialRecord, clock: str) -> str:
    """Return the column of the distance that a trial's rule looked at."""
    by_program = record.stopping is not None and record.stopping.rule == "paper"
    return f"rjsd_{clock}_as_in_paper_code" if by_program else f"rjsd_{clock}"
