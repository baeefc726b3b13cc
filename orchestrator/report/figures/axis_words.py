"""Axis labels of figures in files: words with units, which a reader understands without the page around them."""

from __future__ import annotations

from orchestrator.analysis.reading import Reading
from orchestrator.report.figures.chart import Chart

METRICS = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "subject_accuracy": "accuracy by subject",
    "map": "mean average precision",
    "map50": "mean average precision at 50 % overlap",
    "map75": "mean average precision at 75 % overlap",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
}
CLOCKS = {
    "total": "total time", "inference": "inference time", "response": "response time", "first_token": "time to first token",
    "per_token": "time per token",
}  # fmt: skip


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
    if chart.name == "evidence":
        return "Time of day (UTC)", _capital(next(iter(chart.choices.get("measure", ())), ""))
    across, up = words.get(chart.name, (_capital(chart.x.title), _capital(chart.y.title)))
    return across, up


def _capital(text: str) -> str:
    """Return a text with its first letter as a capital and the others as they are."""
    return text[:1].upper() + text[1:]
