"""What the public program of the paper computes from stored timings, by this project's re-implementation of it, as JSON.

python benchmarks/paper_program.py TIMINGS.csv.gz PREDICTIONS [--scale 10] [--file-order FILE] [--only SECTION ...]

TIMINGS has the columns round, sample, batch, preprocess_ns, inference_ns, postprocess_ns; all samples of a batch carry its time.
PREDICTIONS is a table (sample, reference, top1 to top5, input_size) or JSON of detections, whose references lie beside it, in the file that
is called ``references`` in place of ``predictions``. The form of the result is that of the recorded outputs of the program: sections
tail_latency, tail_quality, convergence, statistics, draw_qualities and regression. NaN is written as NaN.

The program of 2023 reads rounds in the order of a folder, which depends on the file system; see --file-order.
"""

import argparse
import gzip
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.detection import Map, Map50
from orchestrator.metrics.interface import Answers
from orchestrator.stats import paper
from orchestrator.stats.paper import NS_PER_S
from orchestrator.stats.prediction import Figures, compare
from orchestrator.study import program
from orchestrator.study.program import CLASSIFICATION, Quality, directory_order, quality_at
from orchestrator.study.sizes import least_squares

Floats = NDArray[np.float64]
# Warm rounds and rounds between fits: as the program is, and given the data without its warm
# rounds.
LOOPS = [(1, 1), (1, 2), (1, 6), (2, 1), (5, 2), (30, 6)]
STOPS_AT = (0.05, 0.02)
TAILS = (90.0, 95.0, 99.0, 99.9)
# How many thresholds a curve of 2024 has, from the shortest time to the longest.
HOPS = 100
SHARES = (80, 85, 90, 95)
# How the script of 2023 ends where the last 30 rounds are all there are, with the message of
# scikit-learn.
NO_TRAINING = "ValueError: Found array with 0 sample(s) (shape=(0, 1)) while a minimum of 1 is required by KernelDensity."
CLOCKS = {"i": "inference", "pip": "total"}
# The order of files ``DETR_Run100.time.1`` to ``.20`` as recorded.
DETECTION = "15 3 4 7 8 5 2 19 9 14 10 16 6 20 11 17 1 13 18 12"

ROUNDS_DRAWN, STEPS_DRAWN, MARKED = 20, 10, (90, 95, 99)


@dataclass(frozen=True)
class Timings:
    """Times of R rounds and S samples, whose B batches each make one record a round.

    stages : [3, R, S]
        preprocess, inference and postprocess, in ns.
    batch_of : [S]
        number of each sample's batch, rising.
    """

    stages: NDArray[np.int64]
    batch_of: NDArray[np.int64]

    @cached_property
    def first_of_batch(self) -> NDArray[np.int64]:
        """The first sample of each batch, [B]."""
        return np.unique(self.batch_of, return_index=True)[1]

    @cached_property
    def rounded_once(self) -> dict[str, Floats]:
        """Seconds by clock, [R, S], as in 2024: totals are sums of whole ns."""
        return {"inference": self.stages[1] / NS_PER_S, "total": self.stages.sum(axis=0) / NS_PER_S}

    @cached_property
    def rounded_thrice(self) -> dict[str, Floats]:
        """Seconds by the program's name of the clock, [R, S], as in 2023: totals are sums of three stages in seconds."""
        before, inference, after = self.stages / NS_PER_S
        return {"i": inference, "pip": before + inference + after}


@dataclass(frozen=True)
class Judged:
    """How answers are judged: qualities of 2024 by the program's names, the one of 2023, and input sizes [S]."""

    of_2024: Mapping[str, Quality]
    of_2023: Quality
    metric: str
    sizes: Floats
    detection: bool


def main() -> None:
    """Print the sections of one set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("timings", type=Path, help="table of times, .csv or .csv.gz")
    parser.add_argument("predictions", type=Path, help="table of classes, or JSON of detections")
    parser.add_argument("--scale", type=int, default=1, help="multiply every time by this first (default 1)")
    parser.add_argument(
        "--file-order",
        type=Path,
        help="JSON with the order in which the program read its files: numbers from 1, or an object whose file_order.iterdir is these; "
        "default: that of expected_NAME.json beside timings_NAME.csv.gz, if it is there, else the one recorded on an ext4",
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections to compute (default all)")
    arguments = parser.parse_args()
    timings = read_timings(arguments.timings, arguments.scale)
    judged = read_answers(arguments.predictions, timings)
    order = read_order(arguments.file_order or beside(arguments.timings), timings, judged)
    print(json.dumps(sections(timings, judged, order, arguments.only), indent=1))


def sections(timings: Timings, judged: Judged, order: Mapping[str, Any], only: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the sections of one set by name, after what it is and the orders of its rounds."""
    rounds, samples = timings.stages.shape[1:]
    batches = timings.first_of_batch.size
    about = {
        "task": "object detection" if judged.detection else "image classification",
        "rounds": rounds,
        "samples": samples,
        "batches": batches,
        "batch_size": -(-samples // batches),
        "file_order": dict(order),
        "seconds": {},
    }
    for name in SECTIONS if only is None else only:
        begin = time.perf_counter()
        about[name] = {"function": FUNCTIONS[name], **SECTIONS[name](timings, judged, order)}
        about["seconds"][name] = round(time.perf_counter() - begin, 2)
    return about


def tail_latency(timings: Timings, judged: Judged, order: Mapping[str, Any]) -> dict[str, Any]:
    percentiles = (0, *TAILS, 100)
    return {
        clock: dict(zip((f"p{name:g}" for name in percentiles), _occurring(records, percentiles).tolist(), strict=True))
        for clock, records in _records(timings)
    }


def _occurring(records: Floats, percentiles: Sequence[float]) -> Floats:
    return np.asarray(np.percentile(records, percentiles, method="inverted_cdf"))


def tail_quality(timings: Timings, judged: Judged, order: Mapping[str, Any]) -> dict[str, Any]:
    return {clock: dict(_tail_qualities(timings.rounded_once[clock], records, judged)) for clock, records in _records(timings)}


def _tail_qualities(times: Floats, records: Floats, judged: Judged) -> Iterator[tuple[str, Any]]:
    bounds, hops = _occurring(records, TAILS), np.linspace(records.min(), records.max(), HOPS)
    found = {name: quality_at(quality, times, bounds) for name, quality in judged.of_2024.items()}
    for index, percentile in enumerate(TAILS):
        of_metrics = {name: _spread(of_one[index]) for name, of_one in found.items()}
        yield f"p{percentile:g}", {"threshold": float(bounds[index]), **of_metrics}
    if not judged.detection:
        curves = {name: _over_rounds(quality_at(quality, times, hops)) for name, quality in judged.of_2024.items()}
        yield "multihop", {"thresholds": hops.tolist(), **curves}


def _spread(per_round: Floats) -> dict[str, Any]:
    return {
        "mean": float(per_round.mean()),
        "min": float(per_round.min()),
        "max": float(per_round.max()),
        "std": float(per_round.std()),
        "std_ddof1": float(per_round.std(ddof=1)),
        "per_round": per_round.tolist(),
    }


def _over_rounds(curve: Floats) -> dict[str, list[float]]:
    found = {"mean": curve.mean(axis=1), "min": curve.min(axis=1), "max": curve.max(axis=1), "std": curve.std(axis=1)}
    return {name: values.tolist() for name, values in found.items()}


def convergence(timings: Timings, judged: Judged, order: Mapping[str, Any]) -> dict[str, Any]:
    records = dict(_records(timings))
    in_pool = [_loop(records, warm, fit_every, dropped=0) for warm, fit_every in LOOPS]
    left_out = [_loop(records, 0, fit_every, dropped=warm) for warm, fit_every in LOOPS if warm < timings.stages.shape[1]]
    return {"loops": in_pool + left_out}


class Course(NamedTuple):
    """What the loop saw of one clock, and the message of the error that ended it."""

    fits: Sequence[paper.Fit]
    comparisons: Sequence[paper.Comparison]
    error: str | None = None


def course(rounds_s: Iterable[Floats], warm: int = paper.WARM, fit_every: int = paper.FIT_EVERY) -> Course:
    """Return what the loop sees of one clock's rounds of records if it never stops."""
    loop, error = paper.PaperLoop(warm, fit_every), None
    found: list[tuple[paper.Fit | None, paper.Comparison | None]] = []
    try:
        found.extend(map(loop.add, rounds_s))
    except ValueError as raised:
        error = f"ValueError: {raised}"
    fits = [fit for fit, _ in found if fit is not None]
    return Course(fits, [compared for _, compared in found if compared is not None], error)


def stops_after(courses: Iterable[Course], threshold: float) -> int | None:
    """Return the first round at which the rJSD of every clock is within the threshold, or None."""
    seen = [{one.rounds: one.rjsd for one in clock.comparisons} for clock in courses]
    settled = (rounds for rounds in sorted(seen[-1]) if all(of.get(rounds, math.inf) <= threshold for of in seen))
    return next(settled, None)


def _loop(records: Mapping[str, Floats], warm: int, fit_every: int, dropped: int) -> dict[str, Any]:
    courses = {clock: course(times[dropped:], warm, fit_every) for clock, times in records.items()}
    return {
        "warm_run": warm,
        "fit_run_number": fit_every,
        "window_size": paper.WINDOW,
        "warm_rounds_in_pool": not dropped,
        "rounds_dropped_before": dropped,
        "error": next((one.error for one in courses.values() if one.error), None),
        "fits": [
            {"after_run": same[0].rounds, **dict(zip(courses, map(_fit, same), strict=True))}
            for same in zip(*(one.fits for one in courses.values()), strict=False)
        ],
        "checks": [
            {
                "after_run": same[0].rounds,
                "compared_with_fits_after_runs": list(same[0].earlier),
                **dict(zip(courses, map(_check, same), strict=True)),
            }
            for same in zip(*(one.comparisons for one in courses.values()), strict=False)
        ],
        "stops_after_run": {str(threshold): stops_after(courses.values(), threshold) for threshold in STOPS_AT},
    }


def _fit(fit: paper.Fit) -> dict[str, Any]:
    return {"bandwidth": fit.bandwidth, "n": fit.records, "n_unique": fit.distinct, "range": fit.range}


def _check(found: paper.Comparison) -> dict[str, Any]:
    return {
        "rjsd": found.rjsd,
        "grid": [found.shortest, found.longest, paper.GRID_POINTS],
        "root_of_each_distance": np.sqrt(found.distances).tolist(),
    }


def statistics(timings: Timings, judged: Judged, order: Mapping[str, Any]) -> dict[str, Any]:
    return {"runs": [{**run, **_run(times, timings, judged)} for run, times in _read_in_orders(timings, order)]}


def _read_in_orders(timings: Timings, order: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], Floats]]:
    for name in ("numeric", "iterdir"):
        for clock, times in timings.rounded_thrice.items():
            yield {"order": name, "combine_type": clock}, times[np.array(order[name]) - 1]


def _run(times: Floats, timings: Timings, judged: Judged) -> dict[str, Any]:
    train, settings = program.division(len(times))
    by_function = _by_function(times, timings.first_of_batch, judged.of_2023, train, settings)
    whole = len(times) - program.TEST_ROUNDS
    if whole <= 0:
        return {"unmodified": {"error": NO_TRAINING}, "by_function": by_function}
    as_called = by_function
    if train != whole:
        as_called = _by_function(times, timings.first_of_batch, judged.of_2023, whole, program.SHIPPED)
    same = ("train_rounds", "test_rounds", "least_rounds_after_adding_init", "mean_train_jsd")
    unmodified = {
        **{name: as_called[name] for name in same},
        **{name: added for name, (_, added) in as_called["percentiles_of_least_rounds"].items()},
        "i100": len(times),
        "mean_test_jsd": as_called["mean_jsd_train_test"],
        "difference_of_quality": {name: found["difference"] for name, found in as_called["quality"].items()},
    }
    return {"unmodified": unmodified, "by_function": by_function}


def _by_function(times: Floats, first: NDArray[np.int64], quality: Quality, train: int, settings: program.Settings) -> dict[str, Any]:
    records = times[:, first].T
    found = [program.settling(one[:train], settings) for one in records]
    least = np.array([one.rounds for one in found])
    added = np.minimum(least + settings.initial, train)
    fits = [(program.fit(one[:train]), program.fit(one[train:])) for one in records]
    distances = [program.distance_of(*both) for both in fits]
    curve, parts = partial(quality_at, quality), (times[:train], times[train:])
    return {
        "train_rounds": train,
        "test_rounds": len(times) - train,
        "init_num": settings.initial,
        "step": settings.step,
        "tolerance": settings.window,
        "threshold": settings.largest,
        "least_rounds": least.tolist(),
        "least_rounds_after_adding_init": added.tolist(),
        "percentiles_of_least_rounds": {f"i{share}": [int(np.percentile(of, share)) for of in (least, added)] for share in SHARES},
        "compared_at_rounds": list(found[0].compared_at),
        "largest_of_five_distances": [one.of_window.max(axis=1, initial=0).tolist() for one in found],
        "mean_train_jsd": program.mean_train_distance(found),
        "bandwidth": {side: [both[index].bandwidth for both in fits] for index, side in enumerate(("train", "test"))},
        "jsd_train_test": distances,
        "mean_jsd_train_test": float(np.mean(distances)),
        "quality": {
            f"p{percentile}": {
                "difference": _named(Figures.of(fit).difference(Figures.of(own))),
                "train": _side(bound, fit),
                "test": _side(own_bound, own),
            }
            for percentile, bound, own_bound, fit, _, own in zip(
                *compare([curve] * 2, parts, program.PERCENTILES, as_in_program=True), strict=True
            )
        },
    }


def _side(threshold: float, per_round: Floats) -> dict[str, Any]:
    return {"threshold": float(threshold), **_named(Figures.of(per_round)), "per_round": per_round.tolist()}


def _named(figures: Figures) -> dict[str, float]:
    return {"mean": float(figures.mean), "min": float(figures.minimum), "var": float(figures.variance)}


def draw_qualities(timings: Timings, judged: Judged, order: Mapping[str, Any]) -> dict[str, Any]:
    runs = [{**run, **_drawn(times[:ROUNDS_DRAWN], judged.of_2023)} for run, times in _read_in_orders(timings, order)]
    return {"metric": judged.metric, "runs": runs}


def drawn_thresholds(times_s: Floats) -> tuple[Floats, Floats]:
    """Return thresholds of a curve of times [R, S], and its marks p90, p95, p99, which occur.

    Thresholds go from the least to the greatest of the samples' own mean -+ 3 sd (ddof 0), which do
    not go beyond the sample's extremes. They are ``arange``'s with one step added, so that for a
    rounding error there is one more at times.
    """
    mean, spread = times_s.mean(axis=0), 3 * times_s.std(axis=0)
    low = np.maximum(mean - spread, times_s.min(axis=0)).min()
    high = np.minimum(mean + spread, times_s.max(axis=0)).max()
    step = (high - low) / STEPS_DRAWN
    return np.arange(low, high + step, step), np.percentile(times_s, MARKED, method="lower")


def _drawn(times: Floats, quality: Quality) -> dict[str, Any]:
    thresholds, marked = drawn_thresholds(times)
    # In 2023 a sample is in time only below a threshold.
    at, at_marked = (quality_at(quality, times, np.nextafter(bounds, 0)) for bounds in (thresholds, marked))
    special = zip(MARKED, marked.tolist(), at_marked, strict=True)
    return {
        "rounds_used": len(times),
        "thresholds": thresholds.tolist(),
        **_over_rounds(at),
        "special": {f"p{percentile}": {"threshold": bound, **_spread(per_round)} for percentile, bound, per_round in special},
    }


def regression(timings: Timings, judged: Judged, order: Mapping[str, Any]) -> dict[str, Any]:
    first = timings.first_of_batch
    runs = []
    for clock, times in timings.rounded_thrice.items():
        of = {"mean_time": times[:, first].mean(axis=0), "variance_of_time": times[:, first].var(axis=0, ddof=1)}
        lines = {name: least_squares(judged.sizes[first], values) for name, values in of.items()}
        found = {name: {"mse": mse, "r2": r2} for name, (_, _, r2, mse) in lines.items()}
        runs.append({"combine_type": clock, "error": None, **found})
    return {"runs": runs}


def _records(timings: Timings) -> Iterator[tuple[str, Floats]]:
    """Yield each clock's records, [R, B] in seconds, as in 2024."""
    for clock, times in timings.rounded_once.items():
        yield clock, times[:, timings.first_of_batch]


SECTIONS: dict[str, Callable[[Timings, Judged, Mapping[str, Any]], dict[str, Any]]] = {
    "tail_latency": tail_latency,
    "tail_quality": tail_quality,
    "convergence": convergence,
    "statistics": statistics,
    "draw_qualities": draw_qualities,
    "regression": regression,
}
# Where in the program each section is computed.
FUNCTIONS = {
    "tail_latency": "Evaluation/tail_latency.py:4 (tail_latency)",
    "tail_quality": "Evaluation/tail_quality.py:9 (tail_quality)",
    "convergence": "Experiments/DETR/PyTorch/sources/run_tq.py:119 (fit), :133 (check_fit_dynamic), loop :394-529",
    "statistics": "Visualization/calculate_stats.py:52 (fit), :65 (check_all_jsdis), :79 (check_minimum_n), :303 (check_fit), :327",
    "draw_qualities": "Visualization/draw_qualities.py:49 (draw_qualities), :194 (calculate_qualities)",
    "regression": "Visualization/regression.py:60-66, :79-83",
}


def read_timings(path: Path, scale: int = 1) -> Timings:
    """Return the times of a table, each multiplied by ``scale``."""
    rows = _table(path)
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    rounds, samples = (int(rows[:, column].max()) + 1 for column in (0, 1))
    if len(rows) != rounds * samples:
        raise SystemExit(f"{path}: {len(rows)} rows for {rounds} rounds of {samples} samples; each round must have every sample once")
    return Timings(rows[:, 3:6].T.reshape(3, rounds, samples) * scale, rows[:samples, 2])


def read_answers(path: Path, timings: Timings) -> Judged:
    """Return how the answers of a set are judged, classes or detections."""
    if ".json" in path.suffixes:
        return _detections(path, timings)
    rows = _table(path)
    _refuse_other_samples(path, len(rows), timings)
    right = rows[:, 1:2] == rows[:, 2:7]
    top1, top5 = right[:, 0], right.any(axis=1)
    batch_of, sizes = timings.batch_of, np.bincount(timings.batch_of)

    def of_batches(correct: NDArray[np.bool_]) -> Quality:
        """Return the mean of the batches' accuracies, whatever their size."""
        shares = correct / sizes[batch_of] / sizes.size
        return lambda on_time: np.asarray((on_time * shares).sum(axis=1))

    def accuracy(on_time: NDArray[np.bool_]) -> Floats:
        return np.asarray((on_time & top1).sum(axis=1) / top1.size)

    return Judged({"top1": of_batches(top1), "top5": of_batches(top5)}, accuracy, "top-1 accuracy", rows[:, 7].astype(np.float64), False)


def _detections(path: Path, timings: Timings) -> Judged:
    found = sorted(_json(path), key=lambda one: one["sample"])
    _refuse_other_samples(path, len(found), timings)
    given = _json(path.with_name(path.name.replace("predictions", "references")))
    references: dict[int, dict[str, list[Any]]] = {
        one["id"]: {"boxes": [], "labels": [], "areas": [], "crowd": []} for one in given["images"]
    }
    for one in given["annotations"]:
        for name, key in {"boxes": "bbox", "labels": "category_id", "areas": "area", "crowd": "iscrowd"}.items():
            references[one["image_id"]][name].append(one[key])
    predictions = [{"boxes": one["boxes"], "labels": one["labels"], "scores": one["scores"]} for one in found]
    answers = Answers(predictions, [references[one["image_id"]] for one in found])
    wide, narrow = (metric().judge(answers) for metric in (Map, Map50))

    def of_2024(on_time: NDArray[np.bool_]) -> Floats:
        return np.where(on_time.any(axis=1), narrow.of(on_time), np.nan)

    def of_2023(on_time: NDArray[np.bool_]) -> Floats:
        return wide.of(on_time)

    sizes = np.array([one["input_size"] for one in found], dtype=np.float64)
    return Judged({"stats[0] (AP at IoU 0.5 only)": of_2024}, of_2023, "mAP, pycocotools stats[0]", sizes, True)


def beside(timings: Path) -> Path | None:
    """Return the file of recorded outputs beside ``timings_NAME.csv.gz``, if it is there: only the order of files is read from it."""
    recorded = timings.with_name(timings.name.split(".")[0].replace("timings", "expected") + ".json")
    return recorded if recorded.is_file() else None


def read_order(path: Path | None, timings: Timings, judged: Judged) -> dict[str, Any]:
    """Return the orders of rounds, as numbers from 1, and whence they are."""
    rounds = timings.stages.shape[1]
    numeric = list(range(1, rounds + 1))
    if path is not None:
        given = _json(path)
        iterdir = given["file_order"]["iterdir"] if isinstance(given, dict) else given
        if sorted(iterdir) != numeric:
            raise SystemExit(f"{path}: order of {len(iterdir)} files; it must hold each number from 1 to {rounds} once")
        return {"note": f"iterdir as {path.name} gives it", "numeric": numeric, "iterdir": iterdir}
    recorded = DETECTION if judged.detection else CLASSIFICATION
    note = (
        "iterdir as recorded on one ext4 file system"
        if rounds <= len(recorded.split())
        else "iterdir of so many files was not recorded: a stand-in"
    )
    return {"note": note, "numeric": numeric, "iterdir": (directory_order(rounds, recorded) + 1).tolist()}


def _refuse_other_samples(path: Path, answers: int, timings: Timings) -> None:
    samples = timings.stages.shape[2]
    if answers != samples:
        raise SystemExit(f"{path}: answers to {answers} samples, and times of {samples}; both files must be of the same samples")


def _table(path: Path) -> NDArray[np.int64]:
    """Return the rows of a table of whole numbers under a heading."""
    return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)


def _json(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


if __name__ == "__main__":
    main()
