from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from effort import EFFORT

from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model, Sample, Task
from orchestrator.subject.digests import cache_dir
from tasks.imagenet import ImageNet
from tasks.imagenet_samples import ImageNetSamples
from tasks.models.efficientnet_lite import EfficientNetLite

MakeContext = Callable[..., LoadContext]
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


def test_there_are_twenty_labelled_pictures(samples: list[tuple[Sample, Any]]) -> None:
    first = samples[0][0]
    assert len(samples) == 20
    assert (first.name, first.reference, first.stratum, first.slices) == ("imagenet_00_243.jpg", 243, "243", {"class": "243"})
    assert isinstance(ImageNetSamples(), Task)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["lite0", "lite2"])
def test_eighteen_of_twenty_are_right(
    variant: str, samples: list[tuple[Sample, Any]], make_context: MakeContext, capfd: pytest.CaptureFixture[str]
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
    assert all(len(set(row)) == 5 and all(0 <= index < 1000 for index in row) for row in answers)
    assert answer(loaded, pictures[:3], batch=1) == answers[:3]
    assert loaded.input_size(pictures[0]) == pictures[0].width * pictures[0].height
    assert loaded.facts["threads"] == {"intra_op": 2}
    assert loaded.facts["classes"] == 1000
    assert loaded.facts["memory_format"] == memory_format
    assert capfd.readouterr() == ("", "")


OTHERS = [("torchscript", 1e-4), ("onnxruntime", 1e-4), ("tensorflow", 1e-3)]
"""Compiling all of it takes minutes: test_torch_compile.py compiles one of the blocks that it is made of."""


@pytest.fixture(scope="module")
def of_torch(samples: list[tuple[Sample, Any]], make_any_context: MakeContext) -> list[tuple[list[Any], Any, list[list[int]]]]:
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
    make_context: MakeContext,
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
def test_an_eighth_of_a_thousand_pictures_gives_the_known_accuracy(make_context: MakeContext) -> None:
    if not THOUSAND.is_dir():
        pytest.skip(f"{THOUSAND} is not there")
    task = ImageNet(str(THOUSAND), class_count=1000)
    task.check()
    drawn = task.samples()
    assert len(drawn) == 1000
    every = 8 if EFFORT == 1 else 1
    drawn = drawn[::every]
    top1, top5 = {1: (0.872, 0.975), 8: (0.880, 0.992)}[every]
    # One thread: two wait for each other where other programs compute.
    lite0 = EfficientNetLite("lite0", class_count=1000)
    model = lite0.load(make_context("onnxruntime", threads=1, cache_dir=cache_dir()))
    answers = [row for sample in drawn for row in answer(model, [task.decode(sample.read())], batch=1)]
    references = [sample.reference for sample in drawn]
    assert share_right(answers, references, 1) == pytest.approx(top1, abs=0.01)
    assert share_right(answers, references, 5) == pytest.approx(top5, abs=0.01)
    eager = lite0.load(make_context("torch", threads=1))
    some = range(0, len(drawn), 10)
    assert [answer(eager, [task.decode(drawn[place].read())], batch=1)[0] for place in some] == [answers[place] for place in some]


def test_its_only_file_is_the_package_s() -> None:
    (file,) = EfficientNetLite("lite0", 1000).files()
    assert file.name.startswith("efficientnet-lite0-")
    assert file.stat().st_size > 18_000_000


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.variant=b0 must be one of: lite0, lite1, lite2, lite3, lite4"):
        EfficientNetLite("b0", 1000).check()


def test_an_unknown_memory_format_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.memory_format=nhwc must be one of: contiguous, channels_last"):
        EfficientNetLite("lite0", 1000, memory_format="nhwc").check()


def test_a_variant_without_a_package_needs_a_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.variant=lite3 has no weights package.*set model\.path=FILE"):
        EfficientNetLite("lite3", 1000).check()
    with pytest.raises(InputError, match=r"model\.path=.*missing\.pth is not a file"):
        EfficientNetLite("lite3", 1000, path=str(tmp_path / "missing.pth")).check()


def test_weights_of_another_variant_are_refused(make_context: MakeContext) -> None:
    (other,) = EfficientNetLite("lite2", 1000).files()
    with pytest.raises(InputError, match=r"holds no weights of efficientnet-lite0: .* differences of") as caught:
        EfficientNetLite("lite0", 1000, path=str(other)).load(make_context())
    assert "\n" not in str(caught.value)


def test_another_number_of_classes_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"_fc\.weight is \(1000, 1280\) instead of \(10, 1280\).*number of classes"):
        EfficientNetLite("lite0", 10).load(make_context())
