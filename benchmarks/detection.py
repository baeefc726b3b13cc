"""Time of mean average precision at COCO size over rounds and thresholds, beside faster-coco-eval and equal to pycocotools.

Every round and threshold is another set of pictures on time. Ours compares boxes once and reads all figures off; the peers
evaluate one set at a time (loadRes, evaluate, accumulate, summarize), so a few sets are timed and all are extrapolated from the median.

python benchmarks/detection.py [--peer-runs 3] [--pycocotools-runs 1]
"""

import argparse
import contextlib
import io
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import faster_coco_eval
import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from orchestrator.metrics import Answers, find_metric

BAR = 40
PICTURE = np.array([640.0, 480.0])


def answers_of_coco_size(pictures: int, boxes: int, classes: int, found: int, seed: int = 0) -> Answers:
    """Return answers in which most boxes are found once well and some times badly, among others that are not there.

    Classes are as unevenly common as COCO's, and sizes as mixed.
    """
    random = np.random.default_rng(seed)
    common = 1 / np.arange(1, classes + 1)
    labels = random.choice(classes, boxes, p=common / common.sum()) + 1
    picture = np.sort(random.integers(0, pictures, boxes))
    truth, crowd = np.round(_boxes(random, boxes), 2), (random.random(boxes) < 0.01).astype(int)
    references, predictions = [], []
    for first, last in np.searchsorted(picture, np.column_stack([np.arange(pictures), np.arange(1, pictures + 1)])):
        own, own_labels = truth[first:last], labels[first:last]
        references.append({"boxes": own.tolist(), "labels": own_labels.tolist(), "crowd": crowd[first:last].tolist()})
        near = np.repeat(np.arange(len(own)), random.integers(0, 8, len(own)))[: found // 2]
        error = random.choice([0.02, 0.1, 0.3], (near.size, 1), p=[0.5, 0.3, 0.2])
        close = own[near] + random.normal(0, error, (near.size, 4)) * own[near][:, [2, 3, 2, 3]]
        right = np.where(random.random(near.size) < 0.8, own_labels[near], random.integers(1, classes + 1, near.size))
        rest = found - near.size
        scores = np.concatenate([random.beta(3, 2, near.size) * (1 - error[:, 0]), random.beta(1, 6, rest)])
        predictions.append(
            {
                "boxes": np.round(np.abs(np.vstack([close, _boxes(random, rest)])), 2).tolist(),
                "labels": np.concatenate([right, random.integers(1, classes + 1, rest)]).tolist(),
                "scores": np.round(scores, 3).tolist(),
            }
        )
    return Answers(predictions, references)


def _boxes(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    sizes = np.minimum(np.exp(random.normal(4, 1, (count, 2))), PICTURE)
    return np.hstack([random.random((count, 2)) * (PICTURE - sizes), sizes])


def data_set(answers: Answers) -> dict[str, Any]:
    annotations = [
        {"image_id": index, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
        for index, reference in enumerate(answers.references)
        for box, label, crowd in zip(reference["boxes"], reference["labels"], reference["crowd"], strict=True)
    ]
    return {
        "images": [{"id": index} for index in range(len(answers.references))],
        "annotations": [{"id": index, **annotation} for index, annotation in enumerate(annotations, start=1)],
        "categories": [{"id": label} for label in sorted({annotation["category_id"] for annotation in annotations})],
    }


def detections_on_time(answers: Answers, on_time: NDArray[np.bool_]) -> list[dict[str, Any]]:
    return [
        {"image_id": int(index), "category_id": label, "bbox": list(box), "score": score}
        for index in np.flatnonzero(on_time)
        for box, label, score in zip(*(answers.predictions[index][key] for key in ("boxes", "labels", "scores")), strict=True)
    ]


def with_pycocotools(truth: COCO, found: list[dict[str, Any]]) -> Sequence[float]:
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


def with_faster_coco_eval(truth: faster_coco_eval.COCO, found: list[dict[str, Any]]) -> Sequence[float]:
    evaluation = faster_coco_eval.COCOeval_faster(truth, truth.loadRes(found), "bbox", print_function=lambda *_: None)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


def timed_runs(
    evaluate: Callable[[Any, list[dict[str, Any]]], Sequence[float]], truth: Any, answers: Answers, sets: Sequence[NDArray[np.bool_]]
) -> Iterator[tuple[float, float]]:
    """Yield seconds and AP of each set of pictures on time. The making of the peer's own form of input is not timed."""
    for on_time in sets:
        found = detections_on_time(answers, on_time)
        with contextlib.redirect_stdout(io.StringIO()):
            start = time.perf_counter()
            stats = evaluate(truth, found)
        yield time.perf_counter() - start, float(stats[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--boxes", type=int, default=36_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--found", type=int, default=100, help="detections a picture")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--thresholds", type=int, default=20)
    parser.add_argument("--peer-runs", type=int, default=3, help="sets of pictures that faster-coco-eval evaluates")
    parser.add_argument("--pycocotools-runs", type=int, default=1, help="sets of pictures that pycocotools evaluates")
    arguments = parser.parse_args()
    answers = answers_of_coco_size(arguments.pictures, arguments.boxes, arguments.classes, arguments.found)
    random = np.random.default_rng(1)
    times = (30e6 * np.exp(random.normal(0, 0.3, (arguments.rounds, arguments.pictures)))).astype(np.int64)
    thresholds = np.quantile(times, np.linspace(0.05, 1, arguments.thresholds))
    evaluations = arguments.rounds * arguments.thresholds

    start = time.perf_counter()
    judged = find_metric("map").judge(answers)
    matched = time.perf_counter()
    curve = judged.curve(times, thresholds)
    ours = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"ours: {ours:.2f} s for {evaluations} evaluations, of which {matched - start:.2f} s reading and matching once; "
        f"peak memory of the process {peak:.2f} GiB; AP {curve.min():.3f} to {curve.max():.3f}"
    )

    chosen = random.choice(evaluations, max(arguments.peer_runs, arguments.pycocotools_runs), replace=False)
    where = [(int(index) // arguments.rounds, int(index) % arguments.rounds) for index in chosen]
    sets = [times[r] <= thresholds[m] for m, r in where]
    expected = [curve[m, r] for m, r in where]

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = data_set(answers)
        truth.createIndex()
        faster_truth = faster_coco_eval.COCO(data_set(answers))
    for name, evaluate, own_truth, count in (
        ("faster-coco-eval", with_faster_coco_eval, faster_truth, arguments.peer_runs),
        ("pycocotools", with_pycocotools, truth, arguments.pycocotools_runs),
    ):
        if not count:
            continue
        seconds, precision = zip(*timed_runs(evaluate, own_truth, answers, sets[:count]), strict=True)
        one = statistics.median(seconds)
        difference = max(abs(mine - theirs) for mine, theirs in zip(expected, precision, strict=False))
        bar = f" (bar {BAR})" if name == "faster-coco-eval" else ""
        print(
            f"{name} {version(name)}: {one:.2f} s each, median of {count} (least {min(seconds):.2f} s), extrapolated to {evaluations}: "
            f"{one * evaluations:.0f} s = {one * evaluations / ours:.0f} times ours{bar}; largest difference from ours {difference:.1e}"
        )


if __name__ == "__main__":
    main()
