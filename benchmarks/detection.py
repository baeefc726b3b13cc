"""Time of mean average precision at COCO's size over rounds and thresholds, beside faster-coco-eval and equal to pycocotools.

Every round and threshold is another set of pictures on time. Ours compares boxes once and reads all figures off; the peers evaluate one
set at a time (loadRes, evaluate, accumulate, summarize), so one set is timed and all are extrapolated from it.
"""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Benchmark, Figure, at_least, at_most, left_out
from orchestrator.metrics import Answers, find_metric

PICTURES = 5000
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


Evaluate = Callable[[Any, list[dict[str, Any]]], Sequence[float]]


def summarised(evaluation: Any) -> Sequence[float]:
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


def with_pycocotools(answers: Answers) -> tuple[Evaluate, Any]:
    """Return what evaluates detections, and the truth in its own form."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = data_set(answers)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return lambda truth, found: summarised(COCOeval(truth, truth.loadRes(found), "bbox")), truth


def with_faster_coco_eval(answers: Answers) -> tuple[Evaluate, Any]:
    """Return what evaluates detections, and the truth in its own form."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(data_set(answers))
    return lambda truth, found: summarised(COCOeval_faster(truth, truth.loadRes(found), "bbox", print_function=lambda *_: None)), truth


PEERS = {"faster-coco-eval": with_faster_coco_eval, "pycocotools": with_pycocotools}


def beside(name: str, pictures: int, rounds: int, thresholds: int) -> Iterator[Figure]:
    """Evaluate so many pictures at COCO's density of boxes, and one round at one threshold of them with a peer."""
    answers = answers_of_coco_size(pictures, boxes=36 * pictures // 5, classes=80, found=100)
    times = (30e6 * np.exp(np.random.default_rng(1).normal(0, 0.3, (rounds, pictures)))).astype(np.int64)
    bounds = np.quantile(times, np.linspace(0.05, 1, thresholds))
    evaluations = rounds * thresholds
    began = time.perf_counter()
    curve = find_metric("map").judge(answers).curve(times, bounds)
    ours = time.perf_counter() - began
    yield Figure(f"{pictures:,} pictures, {evaluations} evaluations: time", ours, "s")
    place = divmod(int(np.random.default_rng(2).integers(evaluations)), rounds)
    try:
        evaluate, truth = PEERS[name](answers)
    except ImportError:
        yield left_out(name)
    else:
        found = detections_on_time(answers, times[place[1]] <= bounds[place[0]])
        with contextlib.redirect_stdout(io.StringIO()):
            began = time.perf_counter()
            theirs = float(evaluate(truth, found)[0])
            took = time.perf_counter() - began
        yield Figure(
            f"{pictures:,} pictures: times as fast as {name}", took * evaluations / ours, "", f"{name} {version(name)}, {took:.2f} s each"
        )
        yield Figure(f"difference from {name}", float(abs(curve[place] - theirs)))


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    yield from beside("faster-coco-eval", 500 if asked.quick else PICTURES, *((4, 10) if asked.quick else (10, 20)))
    yield from beside("pycocotools", 250 if asked.quick else 1000, 4, 10)  # a minute for all pictures, and equal to the other peer


BENCHMARK = Benchmark(
    "detection",
    "Time of mean average precision at COCO's size over rounds and thresholds; peers evaluate one of them",
    measure,
    bars={
        f"{PICTURES:,} pictures: times as fast as faster-coco-eval": at_least(40),
        "difference from faster-coco-eval": at_most(1e-12),
        "difference from pycocotools": at_most(1e-12),
    },
    peer="faster-coco-eval, pycocotools",
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
