"""Streaming quality against sap-toolkit, answers mixed by hand, and a crossing that is known."""

import importlib
import itertools
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, in_turns, results_of, rows_made
from virtual_server import simulated

from orchestrator.analysis.quality import judge
from orchestrator.analysis.ranking import Ranking
from orchestrator.analysis.reading import readings
from orchestrator.analysis.tables.streaming import changes, stream_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig, FramePolicy
from orchestrator.metrics import METRICS, Answers
from orchestrator.report.charts.streaming import streaming_chart
from orchestrator.report.findings import say
from orchestrator.report.findings.task import of_task

POLICIES: tuple[FramePolicy, ...] = ("newest", "queue", "idle")


def trial(name: str, total_ms: Any, metric: str, references: Any, predictions: Any, **more: Any) -> TrialData:
    """A trial of two sequences, of 20 frames and of all others."""
    sequences = {"sequence": ["a"] * 20 + ["b"] * (len(references) - 20), "subject": ["x", "y", "y", "z"] * (len(references) // 4)}
    made = build_trial(name, total_ms, metrics=(metric,), slices=sequences, **more)
    return replace(made, references=references, predictions=predictions)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of sap-toolkit
@pytest.mark.parametrize(("rate", "policy"), [*itertools.product([10.0, 20.0, 30.0], POLICIES)])
def test_streaming_ap_is_that_of_sap_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: float, policy: FramePolicy) -> None:
    """At 10 and 20 a second many answers are there at the very moment of a frame; ns hold no 30th of a second."""
    sap = pytest.importorskip("sap_toolkit.utils", reason="sap-toolkit is missing: pip install '.[test]'")
    monkeypatch.setattr(sap, "FPS", rate)
    random, coco, expected = np.random.default_rng(7), importlib.import_module("pycocotools.coco").COCO(), []
    starts, steps = random.uniform([0, 0, 40, 40], [300, 300, 90, 90], (6, 4)), random.normal(0, [5, 5, 0, 0], (6, 4))
    boxes, labels, wrong = starts + np.arange(36)[:, None, None] * steps, [0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 1]
    guessed, scores = boxes + random.normal(0, 3, boxes.shape), random.random((36, 6))
    ms = np.where(np.arange(36) % 2, random.choice([50.0, 100.0, 150.0], (2, 36)), random.integers(20, 120, (2, 36))) + 1e-3 * (rate == 30)
    coco.dataset = {
        "images": [{"id": frame, "sid": int(frame >= 20)} for frame in range(36)],
        "annotations": [
            {"id": 6 * frame + at + 1, "image_id": frame, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for frame, of in enumerate(boxes.tolist())
            for at, (box, label) in enumerate(zip(of, labels, strict=True))
        ],
        "categories": [{"id": label} for label in range(3)],
        "sequences": ["a", "b"],
    }
    coco.createIndex()
    for services in np.rint(ms * 1e6).astype(int):
        for name, own in (("a", slice(0, 20)), ("b", slice(20, 36))):
            arrivals = [round(frame * 1e9 / rate) for frame in range(own.stop - own.start)]
            begun = simulated(arrivals, services[own].tolist(), policy, None, None)
            timed = sorted((start + services[own][frame], own.start + frame) for frame, start in enumerate(begun) if start >= 0)
            corners = [np.hstack([guessed[frame, :, :2], guessed[frame, :, :2] + guessed[frame, :, 2:]]) for _, frame in timed]
            parsed = [(box, scores[frame], wrong, None) for box, (_, frame) in zip(corners, timed, strict=True)]
            (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps({"results_parsed": parsed, "timestamps": [ns / 1e9 for ns, _ in timed]}))
        sap.gen_results(coco, SimpleNamespace(out_dir=str(tmp_path), overwrite=True), "found.json")
        expected.append(sap.eval_ccf(coco, str(tmp_path / "found.json"))["stats"][0])
    references = [{"boxes": of, "labels": labels} for of in boxes.tolist()]
    found = [{"boxes": of, "labels": wrong, "scores": own} for of, own in zip(guessed.tolist(), scores.tolist(), strict=True)]
    [row] = rows_made("streaming", [trial("a", ms, "map", references, found)], AnalysisConfig(frame_rates=(rate,), frame_policy=policy))
    assert (row["mean"], expected[0] != expected[1]) == (pytest.approx(np.mean(expected), abs=1e-9), True)


@pytest.mark.parametrize(
    ("policy", "ms", "stands", "answered"),
    [
        ("newest", 100, [-1, 0, 1, 2, 3, 4], 1.0),  # the answer is there when the next frame is
        ("newest", 101, [-1, -1, 0, 1, 2, 3], 1.0),
        ("newest", 150, [-1, -1, 0, 1, 1, 3], 5 / 6),
        ("queue", 150, [-1, -1, 0, 1, 1, 2], 1.0),
        ("idle", 150, [-1, -1, 0, 0, 2, 2], 0.5),
        ("idle", 200, [-1, -1, 0, 0, 2, 2], 0.5),  # a frame that arrives when one is done is taken
        ("queue", 200, [-1, -1, 0, 0, 1, 1], 1.0),
    ],
)
def test_an_answer_counts_from_the_moment_when_it_is_there(policy: FramePolicy, ms: float, stands: list[int], answered: float) -> None:
    data = build_trial("a", np.full((2, 12), ms), slices={"sequence": ["a"] * 6 + ["b"] * 6})
    found, timely = (stream_of(data, 10.0, policy, drops) for drops in (False, True))
    assert found.stands.tolist() == [stands + [stand + 6 * (stand >= 0) for stand in stands]] * 2, "none is of another sequence"
    assert (found.answered, found.skipped) == pytest.approx((answered, 1 - answered))
    assert (timely.stands == np.where(found.stands == np.arange(12) - 1, found.stands, -1)).all()


class Off:
    """How far numbers are off; a late answer counts as 9, and some answers are worse."""

    name, late = "off", 9.0

    def score(self, answers: Answers) -> Any:
        return np.abs(np.subtract(answers.predictions, answers.references))


FORMS: dict[str, Any] = {
    "top1": lambda one: [one], "f1_macro": lambda one: [one], "subject_accuracy": str, "off": float,
    "map50": lambda one: {"boxes": [[40.0 * one, 0.0, 30.0, 30.0]], "labels": [1], "scores": [(one + 1) / 20]},
}  # fmt: skip


@pytest.mark.parametrize("metric", FORMS)
@pytest.mark.parametrize(
    ("policy", "late", "fallback"),
    [("newest", "hold", None), ("queue", "drop", None), ("idle", "hold", "net-b"), ("newest", "drop", "net-b-r0")],
)
def test_a_round_is_worth_what_the_answers_that_stand_are(
    monkeypatch: pytest.MonkeyPatch, noise: Any, metric: str, policy: FramePolicy, late: Any, fallback: str | None
) -> None:
    monkeypatch.setitem(METRICS, "off", f"{__name__}:Off")
    truth, random, form = np.arange(36) // 3, np.random.default_rng(2), FORMS[metric]
    references = [one if isinstance(form(one), list) else form(one) for one in truth.tolist()]
    a, b = (
        trial(name, noise(13, 36, ms), metric, references, [form(one) for one in np.where(random.random(36) < right, truth, 0).tolist()])
        for name, ms, right in (("a", 70.0, 0.9), ("b", 30.0, 0.6))
    )
    own, theirs = (stream_of(one, 20.0, policy, late == "drop").stands for one in (a, b))
    expected = []
    for mine, second in zip(own, theirs if fallback else np.full_like(own, -1), strict=True):
        newest = [(max(pair), pair[0] < pair[1]) for pair in zip(mine.tolist(), second.tolist(), strict=True)]
        mixed = Answers([(b if other else a).predictions[frame] for frame, other in newest], references, a.slices)
        judged, times = judge(metric, mixed), np.array([[np.inf if frame < 0 else 1.0 for frame, _ in newest]])
        expected.append(judged.shown(float(judged.curve(times, [1.0])[0, 0])))
    asked: Any = {"frame_policy": policy, "late": late, "fallback": fallback}
    torn = trial("torn", np.full((13, 36), 30.0), metric, references, b.predictions, task={"limit": 36})
    row, alone = rows_made("streaming", [a, b, torn], AnalysisConfig(frame_rates=(20.0,), **asked))
    assert row["mean"] == pytest.approx(np.mean(expected))
    assert row["interval_low"] <= row["mean"] <= row["interval_high"]
    assert (row["fallback"], alone["fallback"]) == (fallback and "net-b-r0", None)


TIMES_MS = 36 + 8 * (np.arange(40) * 17 % 40 + 0.5) / 40


@pytest.mark.parametrize(("speed", "repeats"), [(8.0, 1), (8.0, 3), (0.0, 1)])
def test_a_slower_and_better_detector_loses_from_the_rate_on_that_its_times_tell(speed: float, repeats: int) -> None:
    """Its rounds have one time each: an answer of the frame before still fits a box in motion, an older one does not."""
    boxes = [[[speed * frame + 200 * place, 0.0, 40.0, 40.0] for place in range(2)] for frame in range(40)]
    references = [{"boxes": of, "labels": [1, 1]} for of in boxes]
    both, one = ([{"boxes": of[:count], "labels": [1] * count, "scores": [0.5] * count} for of in boxes] for count in (2, 1))
    trials = in_turns(
        trial(name, np.tile(ms, (1, 40)), "map50", references, found, repeat=repeat)
        for repeat in range(repeats)
        for name, ms, found in (("better", TIMES_MS[:, None], both), ("faster", np.full((40, 1), 4.0), one))
    )
    results = results_of(trials, AnalysisConfig(frame_rates=(15, 30)), "streaming", "latency", "tail_quality")
    slow, fast = (row["mean"] for row in results.rows("streaming")[:2])
    lines = streaming_chart(*readings(results)).spec["data"]["values"]
    assert {line["s"]: line["mean"][0] for line in lines} == pytest.approx({"better": slow, "faster": fast}, rel=1e-3)
    [said] = [one for one in of_task(results, Ranking(results.groups[0], ())) if one.kind == "streaming"]
    assert [one["name"] for one in said.values["rates"]] == ["better", "faster" if speed else "better"]
    assert ("overtakes" in say(said, "text"), len(said.values["changes"])) == (speed > 0, speed > 0)
    for change in said.values["changes"]:
        crossing = 1e3 / np.quantile(TIMES_MS, fast / slow)
        assert change["low"] < crossing < change["high"]
        apart = [{**row, "worse": None} for row in results.rows("streaming")]
        assert [(one.low, one.high) for one in changes(apart)] == [(None, None)], "trials that took no turns"
        assert change == {**change, "before": "better", "after": "faster", "rate_per_s": pytest.approx(crossing, rel=0.02)}
