"""Tables of what may be claimed of systems, and of figures beside the primary metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.comparison import FRESH_PROCESSES, FROM_BEST, SAMPLES_LIKE_THESE, THIS_DATA_SET
from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.ranking import apart_by, less_on_samples, rests_on
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.config import Trial
from orchestrator.report.table import Marks, Table, bound, mean_within, read_at, who, who_columns
from orchestrator.report.text import milliseconds, quality, quality_at_least, quality_within, seconds, signed, within
from orchestrator.stats.convergence import SHARES, rounds_each_sample_needs, rounds_needed_by_share
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.units import evenly_chosen

DEADLINE_NOTE = (
    "With {confidence:.0%} confidence at least {kept:.0%} of rounds like these keep {quality:.0%} of ideal quality, when every answer "
    "after the deadline counts as failed. Only rounds whose number was fixed beforehand count, in visits that lie apart. What was seen "
    "holds for this session, and is no promise.{common}"
)
COMMON = " Where models differ in ideal quality, the floor that all of them can keep stands beside each one's own (common)."


def deadline_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task the deadlines on its first clock: for each trial's own ideal quality, and for a common one where that is lower."""
    wanted = results.analysis.deadline
    for group in results.groups:
        rows = [row for row in rows_of(results, "deadline", group) if row["clock"] == group.clock]
        own = {row["trial"]: row["floor"] for row in rows if row["reference"] == "own"}
        rows = [row for row in rows if row["reference"] == "own" or 0 < row["floor"] < own[row["trial"]]]
        common = COMMON if any(row["reference"] == "common" for row in rows) else ""
        if rows:
            yield Table(
                title=f"Deadlines that can be promised on {group.task} ({group.trials[0].metric}, {group.clock} time)",
                columns=[*who_columns(group), "keep at least", "deadline", f"seen in {1 - wanted.late_share:.0%} of rounds", "rounds"],
                rows=[_deadline_cells(row, group) for row in rows],
                note=DEADLINE_NOTE.format(confidence=wanted.confidence, kept=1 - wanted.late_share, quality=wanted.quality, common=common),
                right=frozenset(["keep at least", "rounds"]),
            )


def _deadline_cells(row: Row, group: Group) -> list[str]:
    smaller_is_better = scale_of(group.trials[0].judged(row["metric"])).sign < 0
    floor = f"at most {quality(row['floor'])}" if smaller_is_better else quality_at_least(row["floor"])
    floor += " (common)" if row["reference"] == "common" else ""
    return [*who(row, group), floor, _deadline(row), milliseconds(row["observed_ns"]), str(row["rounds"])]


def _deadline(row: Row) -> str:
    return milliseconds(row["deadline_ns"]) if row["certified"] else f"not certified: {row['reason']}"


def comparison_tables(results: CampaignAnalysis, everywhere: bool = False) -> Iterator[Table]:
    """Yield per task the differences from each model's baseline at the primary threshold, or ``everywhere``: at all common ones."""
    for group in results.groups:
        found = rows_of(results, "comparison", group)
        for threshold in read_at(group, everywhere):
            rows = [row for row in found if row["threshold_ns"] == threshold.ns and row["scope"] not in FROM_BEST]
            trials = list(dict.fromkeys(row["trial"] for row in rows))
            if trials:
                yield _table(group, threshold, [[row for row in rows if row["trial"] == trial] for trial in trials])


def _table(group: Group, threshold: Threshold, trials: Sequence[Sequence[Row]]) -> Table:
    marks = Marks(row for rows in trials for row in rows)
    return Table(
        title=f"Differences of tail quality in {group.task} ({group.trials[0].metric}, {group.clock} time) within {bound(threshold)}",
        columns=[*who_columns(group), "minus baseline", "this data set", "samples like these", "fresh processes"],
        rows=[_comparison_cells(rows, group, marks) for rows in trials],
        note="Mean tail quality minus the baseline's, with 95 % intervals: over visits that alternate (this data set), and over "
        "rounds and samples (samples like these); without at least 12 of both trials that alternate there are no limits. A fresh process "
        "differs from the last by more than its rounds show: only repeats (measurement.repeat=3 or more) give a verdict on whether a "
        "system is better or worse. It stands in the row of the first repeat, at the primary threshold, with limits that hold for all "
        "trials together." + marks.note(),
        right=frozenset(["this data set", "samples like these"]),
        within_ns=threshold.ns,
    )


def _comparison_cells(rows: Sequence[Row], group: Group, marks: Marks) -> list[str]:
    scopes = {row["scope"]: row for row in rows}
    first = rows[0]
    baseline = next(data.record for data in group.trials if data.trial_id == first["baseline"])
    verdict = scopes.get(FRESH_PROCESSES)
    return [
        *who(first, group),
        f"{baseline.trial.system.name} with {baseline.trial.runtime.name}",
        _difference(scopes.get(THIS_DATA_SET), marks),
        _difference(scopes.get(SAMPLES_LIKE_THESE), marks),
        _verdict(verdict) + marks.of(verdict) if verdict is not None else "",
    ]


FROM_BEST_NOTE = (
    "Each system minus the best of its model, and the best of each model minus the best of all: these differences decide what ties in the "
    "answer. Which system is the best is found from the same rounds, so that the limits hold for all pairs together. "
    "Of trials that took turns a difference is over the visits that both had, and so may miss that of their means."
)
BY_TEST_NOTE = (
    " By its test: of repeats the verdict rests on a t test that goes step by step over the pairs (Holm's method); it may show what the "
    "interval, which holds for all pairs at once, leaves open."
)


def from_the_best_tables(results: CampaignAnalysis, everywhere: bool = False) -> Iterator[Table]:
    """Yield per task the differences that decide what ties, at the primary threshold, or ``everywhere``: at all common ones."""
    for group in results.groups:
        found = rows_of(results, "comparison", group)
        names = [name for name in who_columns(group) if name != "repeat"]
        systems = {data.trial_id: data.record.trial for data in group.trials}
        for threshold in read_at(group, everywhere):
            rows = [row for row in found if threshold.is_of(row) and row["scope"] in FROM_BEST]
            if rows:
                marks = Marks(rows)
                cells = [_from_best_cells(row, systems[row["baseline"]], marks, group, threshold) for row in rows]
                by_test = BY_TEST_NOTE if any(map(_is_by_test, rows)) else ""
                what = f"{group.task} ({group.trials[0].metric}, {group.clock} time)"
                yield Table(
                    title=f"Differences from the best in {what} within {bound(threshold)}",
                    columns=[*names, "minus", "difference", "is it shown?"],
                    rows=[[*who(row, group, names), *of_row] for row, of_row in zip(rows, cells, strict=True)],
                    note=FROM_BEST_NOTE + by_test + marks.note(),
                    right=frozenset(["difference"]),
                    within_ns=threshold.ns,
                )


def _from_best_cells(row: Row, best: Trial, marks: Marks, group: Group, threshold: Threshold) -> list[str]:
    of_model = f"{best.model.name} on " if best.model.name != row["model"] else ""
    said = _is_shown(row)
    if of_model and apart_by(row):
        less = less_on_samples(group, row["trial"], row["baseline"], threshold)
        said += f"; {SAMPLES_LIKE_THESE}: {'not tested' if less is None else 'shown' if less else 'not shown'}"
    return [f"{of_model}{best.system.name} with {best.runtime.name}", _difference(row, marks), said]


def _is_shown(row: Row) -> str:
    """Say whether a difference is shown on these samples, and by what, where the interval beside it leaves it open."""
    apart = apart_by(row)
    if not apart:
        return "not tested" if apart is None else "not shown"
    return f"shown by its test, {rests_on(row)}" if _is_by_test(row) else "shown"


def _is_by_test(row: Row) -> bool:
    """Return whether a difference is shown though the interval beside it holds 0."""
    low, high = row["interval_low"], row["interval_high"]
    return bool(apart_by(row)) and low is not None and high is not None and low <= 0 <= high


def _verdict(row: Row) -> str:
    """Write a verdict with its figure: the difference of means over repeats, its bounds and what would have been found."""
    if row["interval_low"] is None:
        return str(row["verdict"])
    parameters = dict(row["parameters"])
    found = f"{row['verdict']}: {signed(row['difference'])} [{signed(row['interval_low'])}, {signed(row['interval_high'])}]"
    return f"{found}, a drop of {parameters['detectable_drop']:.3f} would show"


def _difference(row: Row | None, marks: Marks) -> str:
    if row is None:
        return "-"
    low, high = row["interval_low"], row["interval_high"]
    interval = f" {within(low, high, '+')}" if low is not None and high is not None else ""
    return f"{signed(row['difference'])}{interval}{marks.of(row)}"


MEAN = "mean [95 % interval]"
PROCESS_NOTE = (
    "Repeats are fresh processes: the interval is Student's t over their means, and speaks of processes to come. Standard deviations of "
    "tail quality: what a process, a visit, a round and the samples of a round have each of their own. Best rounds: how many a process has "
    "where a large budget is best spent. Best split: of the time that these repeats took, with the half-width to be expected."
)


def process_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task with repeats what fresh processes keep at the primary threshold, and how time is best split among them."""
    for group in results.groups:
        rows = [row for row in rows_of(results, "processes", group) if row["primary"]]
        names = [name for name in who_columns(group) if name != "repeat"]
        primary = group.thresholds.primary
        if rows and primary is not None:
            marks = Marks(rows)
            heads = [MEAN, "process sd", "visit sd", "round sd", "samples' sd", "a process costs", "a round costs", "best rounds"]
            yield Table(
                title=f"Fresh processes of {group.task} ({group.trials[0].metric}, {group.clock} time) within {bound(primary)}",
                columns=[*names, "repeats", *heads, "best split"],
                rows=[[*who(row, group, names), str(row["processes"]), *_process_cells(row, marks)] for row in rows],
                note=PROCESS_NOTE + marks.note(),
                right=frozenset(["repeats", *heads]),
            )


def _process_cells(row: Row, marks: Marks) -> list[str]:
    spreads = [row[name] for name in ("process_sd", "visit_sd", "round_sd", "sample_sd")]
    return [
        mean_within(row, marks),
        *("-" if spread is None else f"{spread:.4f}" for spread in spreads),
        "-" if row["process_s"] is None else seconds(row["process_s"]),
        seconds(row["round_s"]),
        "-" if row["best_rounds"] is None else f"{max(row['best_rounds'], 1):.0f}",
        "-" if row["split_processes"] is None else _split(row),
    ]


def _split(row: Row) -> str:
    return f"{row['split_processes']} processes of {row['split_rounds']} rounds: ± {row['split_half_width']:.3f}"


SHOWN = "p95"
PREDICTION_NOTE = (
    "The first rounds predict the last; the threshold is a percentile of the first alone. block-bootstrap keeps the samples of a round "
    "together; poisson-binomial takes every sample as independent. Worst: the median worst round of as many as were "
    "tested. Variance ratio: how much more quality varies between rounds than independent samples would make it; far above 1, whole "
    "rounds are slow, and independence promises too much."
)


def prediction_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task what the first rounds predicted of the last, on its first clock at the first rounds' p95."""
    for group in results.groups:
        found = rows_of(results, "prediction", group)
        rows = [row for row in found if (row["clock"], row["threshold"]) == (group.clock, SHOWN)]
        if rows:
            marks = Marks(rows)
            yield Table(
                title=f"Predicted against observed tail quality of {group.task} ({group.trials[0].metric}, {group.clock} time, {SHOWN})",
                columns=[*who_columns(group), "method", MEAN, "observed", "worst", "observed worst", "rounds", "variance ratio"],
                rows=[_prediction_cells(row, group, marks) for row in rows],
                note=PREDICTION_NOTE + _how_often_right(found) + marks.note(),
                right=frozenset([MEAN, "observed", "worst", "observed worst", "rounds", "variance ratio"]),
            )


def _prediction_cells(row: Row, group: Group, marks: Marks) -> list[str]:
    ratio = row["variance_ratio"]
    return [
        *who(row, group),
        row["method"],
        f"{quality(row['predicted_mean'])}{_limits(row)}{marks.of(row)}",
        quality(row["observed_mean"]),
        quality(row["predicted_minimum"]),
        quality(row["observed_minimum"]),
        f"{row['fit_rounds']} + {row['test_rounds']}",
        "-" if ratio is None else f"{ratio:.1f}",
    ]


def _limits(row: Row) -> str:
    return "" if row["inside"] is None else f" {quality_within(row['predicted_low'], row['predicted_high'])}"


def _how_often_right(rows: Sequence[Row]) -> str:
    """Say per method in how many rows, of all clocks and thresholds, the observed mean lay within its predicted interval."""
    told = []
    for method in dict.fromkeys(row["method"] for row in rows):
        inside = [row["inside"] for row in rows if row["method"] == method and row["inside"] is not None]
        if inside:
            told.append(f"{method} in {sum(inside)} of {len(inside)} ({sum(inside) / len(inside):.0%})")
    return f" Of all rows, every clock and percentile, the observed mean lay inside: {', '.join(told)}." if told else ""


FEWEST_ROUNDS, MOST_ROUNDS = 60, 200
MOST_SAMPLES, FEWEST_SAMPLES, MOST_IN_ALL = 100, 10, 1000
"""The rule fits a density per sample and step: it is applied to this many samples of a trial, evenly chosen, fewer of many trials."""


def other_figure_tables(results: CampaignAnalysis, everywhere: bool = False) -> Iterator[Table]:
    """Yield per task the metrics beside the primary one, on its first clock: at the primary threshold, or at all common ones."""
    for group in results.groups:
        found = rows_of(results, "tail_quality", group)
        for threshold in read_at(group, everywhere):
            rows = [
                row for row in found if row["clock"] == group.clock and threshold.is_of(row) and row["metric"] != group.trials[0].metric
            ]
            if rows:
                yield _others_within(threshold, rows, group)


def _others_within(threshold: Threshold, rows: Sequence[Row], group: Group) -> Table:
    marks = Marks(rows)
    return Table(
        title=f"Other metrics of {group.task} ({group.clock} time) within {bound(threshold)}",
        columns=[*who_columns(group), "metric", "slice", "samples", "ideal", "mean [95 % interval]", "worst"],
        rows=[
            [
                *who(row, group),
                row["metric"],
                row["slice"],
                str(row["samples"]),
                quality(row["ideal"]),
                mean_within(row, marks),
                quality(row["worst"]),
            ]
            for row in rows
        ],
        note=marks.note().strip(),
        right=frozenset(["samples", "ideal", "mean [95 % interval]", "worst"]),
        within_ns=threshold.ns,
    )


def rounds_needed_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task the rounds after which samples have settled one by one, for trials long enough to tell.

    Samples that share a batch in every round have one density between them and count once; where every round puts others together,
    each sample has its own.
    """
    most = max(FEWEST_SAMPLES, min(MOST_SAMPLES, MOST_IN_ALL // max(1, len(results.records))))

    def needed(data: TrialData) -> list[str] | None:
        times = data.own_times(data.clock)
        if len(times) < FEWEST_ROUNDS:
            return None
        some = evenly_chosen(times.shape[1], most)
        by_share = rounds_needed_by_share(rounds_each_sample_needs(times[:MOST_ROUNDS, some]))
        return [f"{by_share[share]:.0f}" if by_share[share] < inf else "-" for share in SHARES]

    for group in results.groups:
        found = zip(group.trials, map_in_threads(needed, group.trials), strict=True)
        cells = [[*who(dict(data.record.labels()), group), *of_trial] for data, of_trial in found if of_trial is not None]
        if cells:
            heads = [f"{share:g} % of samples" for share in SHARES]
            yield Table(
                title=f"Rounds that samples of {group.task} need (the paper's rule, {group.clock} time)",
                columns=[*who_columns(group), *heads],
                rows=cells,
                note="After so many rounds a sample's own density moved by a distance of at most 0.2 over five fits; of up to "
                f"{most} samples, a batch of the same ones counting once. A dash: more rounds than were measured, or than {MOST_ROUNDS}.",
                right=frozenset(heads),
            )
