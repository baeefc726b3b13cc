"""The table of predicted against observed tail quality."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.groups import Group
from orchestrator.analysis.results import Results
from orchestrator.report.rows import Row, flag_note, mark, rows_of, who, who_columns
from orchestrator.report.table import Table
from orchestrator.report.text import quality

SHOWN = "p95"
PREDICTION_NOTE = (
    "The first rounds predict the last; the threshold is a percentile of the first alone. block-bootstrap keeps the samples of a round "
    "together; poisson-binomial and monte-carlo take every sample as independent. Worst: the median worst round of as many as were "
    "tested. Variance ratio: how much more quality varies between rounds than independent samples would make it; far above 1, whole "
    "rounds are slow, and independence promises too much."
)


def prediction_tables(results: Results) -> Iterator[Table]:
    """Yield per task what the first rounds predicted of the last, on the total clock at the first rounds' p95."""
    for group in results.groups:
        rows = [row for row in rows_of(results, "prediction", group) if (row["clock"], row["threshold"]) == ("total", SHOWN)]
        if rows:
            yield Table(
                title=f"Predicted against observed tail quality of {group.task} ({group.trials[0].metric}, total time, {SHOWN})",
                columns=[*who_columns(group), "method", "mean", "observed", "worst", "observed worst", "rounds", "variance ratio"],
                rows=[_prediction_cells(row, group) for row in rows],
                note=PREDICTION_NOTE + flag_note(rows),
                right=frozenset(["mean", "observed", "worst", "observed worst", "rounds", "variance ratio"]),
            )


def _prediction_cells(row: Row, group: Group) -> list[str]:
    ratio = row["variance_ratio"]
    return [
        *who(row, group),
        row["method"],
        quality(row["predicted_mean"]) + mark(row["flags"]),
        quality(row["observed_mean"]),
        quality(row["predicted_minimum"]),
        quality(row["observed_minimum"]),
        f"{row['fit_rounds']} + {row['test_rounds']}",
        "-" if ratio is None else f"{ratio:.1f}",
    ]
