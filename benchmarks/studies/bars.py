"""What is promised, and whether simulated figures break the promise."""

from typing import NamedTuple, TypeAlias

from orchestrator.stats.interval import clopper_pearson

Row: TypeAlias = dict[str, str | int | float]
# Of the Monte Carlo interval: a cell fails where it excludes the bar.
CONFIDENCE = 0.99


class Bar(NamedTuple):
    """A promise, what was found, what was promised, and whether it holds."""

    what: str
    found: str
    bar: str
    holds: bool


def falls_short(percent: float, draws: int, least: float) -> bool:
    """Return whether so many percent of draws are surely below the least that is promised, in percent."""
    return 100 * float(clopper_pearson(round(percent * draws / 100), draws, CONFIDENCE)[1]) < least


def exceeds(percent: float, draws: int, most: float) -> bool:
    """Return whether so many percent of draws are surely above the most that is promised, in percent."""
    return 100 * float(clopper_pearson(round(percent * draws / 100), draws, CONFIDENCE)[0]) > most


def inside_reach(rows: list[Row]) -> list[Row]:
    """Return the cells within reach from 60 rounds on, for which coverage is promised."""
    return [row for row in rows if row["within reach"] == "yes" and int(row["rounds"]) >= 60]


def at_least(what: str, rows: list[Row], column: str, least: float, share_of_cells: float = 1.0) -> Bar:
    """Judge that a column keeps a bar in a share of cells."""
    kept = [not falls_short(float(row[column]), int(row["draws"]), least) for row in rows]
    return _bar(what, rows, column, kept, f">= {least:g} %", share_of_cells, min)


def at_most(what: str, rows: list[Row], column: str, most: float) -> Bar:
    """Judge that a column keeps a bar in all cells."""
    kept = [not exceeds(float(row[column]), int(row["draws"]), most) for row in rows]
    return _bar(what, rows, column, kept, f"<= {most:g} %", 1.0, max)


def mean_at_most(what: str, rows: list[Row], column: str, most: float) -> Bar:
    """Judge the mean of a column over cells."""
    mean = sum(float(row[column]) for row in rows) / len(rows) if rows else float("nan")
    return Bar(what, f"mean of {len(rows)} cells {mean:.2f}", f"<= {most:g}", mean <= most)


def _bar(what: str, rows: list[Row], column: str, kept: list[bool], bar: str, share: float, worst: object) -> Bar:
    if not rows:
        return Bar(what, "no cell", bar, False)
    extreme = worst(float(row[column]) for row in rows)  # type: ignore[operator]
    cells = f" in {100 * share:g} % of cells" if share < 1 else ""
    return Bar(what, f"{sum(kept)} of {len(rows)} cells, worst {extreme:.1f} %", bar + cells, sum(kept) >= share * len(rows))
