"""Axis labels of figures in files: words with units, which a reader understands without the page around them."""

from __future__ import annotations

from orchestrator.report.figures.chart import Chart
from orchestrator.report.figures.reading import Reading

METRICS = {"top1": "top-1 accuracy", "top5": "top-5 accuracy", "map": "mean average precision", "f1": "F1 score"}
CLOCKS = {"total": "total time", "inference": "inference time"}


def axis_words(chart: Chart, reading: Reading) -> tuple[str, str]:
    """Return the labels of both axes, across and up, for the first choice of each kind, as a file shows it."""
    metric = METRICS.get(reading.metric, reading.metric)
    clock = CLOCKS.get(next(iter(chart.choices.get("clock", ())), ""), "time")
    words = {
        "tail-quality": (f"Threshold on {clock} (ms)", f"Mean tail quality ({metric})"),
        "rounds": ("Round (number)", f"Tail quality ({metric})"),
        "rounds-histogram": (f"Tail quality of a round ({metric})", "Share of rounds (%)"),
        "ranking": (f"Threshold on {clock} (ms)", "Rank by tail quality (1 is best)"),
        "density": (f"{clock.capitalize()} (ms)", "Density (per unit of log time)"),
        "distribution": (f"{clock.capitalize()} (ms)", "Inferences within it (%)"),
        "percentiles": ("Percentile of inferences (%)", f"{clock.capitalize()} (ms)"),
        "rjsd": ("Rounds (number)", "Change of density (rJSD, 0 to 1)"),
        "prediction": (f"Predicted tail quality ({metric})", f"Observed tail quality ({metric})"),
        "input-size": ("Input size (as the model counts it)", "Median total time (ms)"),
        "stages": ("", "Mean time (ms)"),
    }
    across, up = words.get(chart.name, (chart.x.title, chart.y.title))
    return across, up
