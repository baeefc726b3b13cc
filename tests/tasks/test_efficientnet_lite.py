from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused

from orchestrator.contracts import LoadedModel, Model, Sample
from orchestrator.subject.digests import cache_dir
from tasks.imagenet import ImageNet
from tasks.imagenet_samples import ImageNetSamples
from tasks.models.efficientnet_lite import EfficientNetLite

THOUSAND = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet_sample_1000"


@pytest.fixture(scope="module")
def samples() -> list[tuple[Sample, Any]]:
    task = ImageNetSamples()
    task.check()
    return [(sample, task.decode(sample.read())) for sample in task.samples()]


def answer(model: LoadedModel, pictures: list[Any], batch: int) -> list[list[int]]:
    batches = [pictures[start : start + batch] for start in range(0, len(pictures), batch)]
    return [row for part in batches for row in model.postprocess(model.infer(model.preprocess(part)))]


def share_right(answers: list[list[int]], references: list[int], k: int) -> float:
    return float(np.mean([reference in row[:k] for row, reference in zip(answers, references, strict=True)]))


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["lite0", "lite2"])
def test_eighteen_of_twenty_are_right(
    variant: str, samples: list[tuple[Sample, Any]], make_context: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    memory_format = "channels_last" if variant == "lite2" else "contiguous"
    model = EfficientNetLite(variant, class_count=1000, memory_format=memory_format)
    model.check()
    loaded = model.load(make_context("torch"))
    assert isinstance(model, Model)
    assert isinstance(loaded, LoadedModel)
    pictures = [picture for _, picture in samples]
    answers = answer(loaded, pictures, batch=8)  # the last batch has 4
    assert share_right(answers, [sample.reference for sample, _ in samples], 1) == 0.9
    assert answer(loaded, pictures[:3], batch=1) == answers[:3]
    assert loaded.input_size(pictures[0]) == pictures[0].width * pictures[0].height
    assert loaded.facts["threads"] == {"intra_op": 2}
    assert loaded.facts["classes"] == 1000
    assert loaded.facts["memory_format"] == memory_format
    assert capfd.readouterr() == ("", "")


OTHERS = [("torchscript", 1e-4), ("onnxruntime", 1e-4), ("tensorflow", 1e-3)]
"""Compiling all of it takes minutes: test_torch_compile.py compiles one of the blocks that it is made of."""


@pytest.fixture(scope="module")
def of_torch(samples: list[tuple[Sample, Any]], make_any_context: Any) -> list[tuple[list[Any], Any, list[list[int]]]]:
    """Two batches of pictures with PyTorch's own logits and answers."""
    pictures = [picture for _, picture in samples]
    eager = EfficientNetLite("lite0", class_count=1000).load(make_any_context(batch=10))
    batches = (pictures[:10], pictures[10:])
    logits = [eager.infer(eager.preprocess(batch)) for batch in batches]
    return [(batch, np.asarray(found), eager.postprocess(found)) for batch, found in zip(batches, logits, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "bound"), OTHERS, ids=[runtime for runtime, _ in OTHERS])
def test_all_runtimes_give_the_logits_of_torch(
    runtime: str,
    bound: float,
    samples: list[tuple[Sample, Any]],
    of_torch: list[tuple[list[Any], Any, list[list[int]]]],
    make_context: Any,
) -> None:
    if runtime == "tensorflow" and find_spec("tensorflow") is None:
        pytest.skip("tensorflow is not installed: run `pip install 'tail-quality[tensorflow]'`")
    other = EfficientNetLite("lite0", class_count=1000).load(make_context(runtime, batch=10, cache_dir=cache_dir()))
    right = []
    for batch, expected, answers in of_torch:
        outputs = other.infer(other.preprocess(batch))
        logits = outputs.copy_outputs_to_cpu()[0] if runtime == "onnxruntime" else np.asarray(outputs)
        assert logits.shape == expected.shape == (len(batch), 1000)
        assert np.abs(expected).max() > 1
        assert np.abs(logits - expected).max() < bound
        assert other.postprocess(outputs) == answers
        right += other.postprocess(outputs)
    assert share_right(right, [sample.reference for sample, _ in samples], 1) == 0.9
    assert other.facts["largest_difference"] < bound
    if runtime == "onnxruntime":
        assert 0 < other.facts["largest_difference"] < other.facts["tolerance"] < 1e-3
    assert other.facts["threads"] == {"intra_op": 2}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_eighth_of_a_thousand_pictures_gives_the_known_accuracy(make_context: Any) -> None:
    if not THOUSAND.is_dir():
        pytest.skip(f"{THOUSAND} is not there")
    task = ImageNet(str(THOUSAND), class_count=1000)
    task.check()
    drawn = task.samples()
    assert len(drawn) == 1000
    drawn = drawn[::8]
    # One thread: two wait for each other where other programs compute.
    model = EfficientNetLite("lite0", class_count=1000).load(make_context("onnxruntime", threads=1, cache_dir=cache_dir()))
    answers = [row for sample in drawn for row in answer(model, [task.decode(sample.read())], batch=1)]
    references = [sample.reference for sample in drawn]
    assert share_right(answers, references, 1) == pytest.approx(0.880, abs=0.01)
    assert share_right(answers, references, 5) == pytest.approx(0.992, abs=0.01)


@pytest.mark.parametrize(
    ("variant", "options", "code", "key"),
    [
        ("b0", {}, "unknown", "model.variant"),
        ("lite0", {"memory_format": "nhwc"}, "unknown", "model.memory_format"),
        ("lite3", {}, "missing", "model.path"),
        ("lite3", {"path": "missing.pth"}, "not_found", "model.path"),
    ],
)
def test_options_that_are_none_are_refused(variant: str, options: dict[str, Any], code: Any, key: str) -> None:
    with refused(code, key):
        EfficientNetLite(variant, 1000, **options).check()


@pytest.mark.slow
def test_weights_of_another_variant_or_number_of_classes_are_refused(make_context: Any) -> None:
    (other,) = EfficientNetLite("lite2", 1000).files()
    for model in (EfficientNetLite("lite0", 1000, path=str(other)), EfficientNetLite("lite0", 10)):
        with refused("conflict"):
            model.load(make_context())
