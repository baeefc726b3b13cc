from typing import Any

import numpy as np
import pytest

from orchestrator.contracts import Sample
from orchestrator.subject.digests import cache_dir
from tasks.imagenet_samples import ImageNetSamples
from tasks.models.efficientnet_lite import EfficientNetLite


@pytest.fixture(scope="module")
def samples() -> list[tuple[Sample, Any]]:
    task = ImageNetSamples()
    task.check()
    return [(sample, task.decode(sample.read())) for sample in task.samples()]


OTHERS = [("torchscript", 1e-4), ("onnxruntime", 1e-4), ("tensorflow", 1e-3)]
"""Compiling all of it takes minutes."""


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
    assert np.mean([sample.reference == row[0] for row, (sample, _) in zip(right, samples, strict=True)]) == 0.9
    assert other.facts["largest_difference"] < bound
    if runtime == "onnxruntime":
        assert 0 < other.facts["largest_difference"] < other.facts["tolerance"] < 1e-3
    assert other.facts["threads"] == {"intra_op": 2}
