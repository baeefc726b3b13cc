"""What the ``check`` of tasks and models refuses before a framework is imported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from tasks.digit_scenes import DigitScenes
from tasks.models.causal_lm import CausalLM
from tasks.models.detr import Detr
from tasks.models.efficientnet_lite import EfficientNetLite
from tasks.models.image_input import ImageInput
from tasks.models.keras_classifier import KerasClassifier
from tasks.models.nanodet import NanoDet
from tasks.models.recommender import Recommender
from tasks.models.scene_detector import SceneDetector
from tasks.models.sentence_classifier import SentenceClassifier
from tasks.models.timm_classifier import TimmClassifier
from tasks.models.torchvision_classifier import TorchvisionClassifier
from tasks.models.torchvision_detector import TorchvisionDetector
from tasks.moving_digits import MovingDigits

CASES: list[tuple[Any, dict[str, Any], str, str]] = [
    (DigitScenes, {"scenes": 0}, "invalid", "task.scenes"),
    (DigitScenes, {"scenes": 2.5}, "invalid", "task.scenes"),
    (DigitScenes, {"scenes": True}, "invalid", "task.scenes"),
    (MovingDigits, {"frames": 0}, "invalid", "task.frames"),
    (DigitScenes, {"seed": -1}, "invalid", "task.seed"),
    (CausalLM, {}, "missing", "model.path"),
    (CausalLM, {"hub": "x/y", "choices": ["A", "A"]}, "invalid", "model.choices"),
    (CausalLM, {"hub": "x/y", "answer": "maybe"}, "unknown", "model.answer"),
    (CausalLM, {"hub": "x/y", "too_long": "maybe"}, "unknown", "model.too_long"),
    (Detr, {}, "missing", "model.path"),
    (Detr, {"path": "nowhere"}, "not_found", "model.path"),
    (Detr, {"hub": "x/y", "shortest": 900, "longest": 800}, "invalid", "model.shortest"),
    (Detr, {"hub": "x/y", "least_score": 7}, "invalid", "model.least_score"),
    (EfficientNetLite, {"variant": "b0", "class_count": 9}, "unknown", "model.variant"),
    (EfficientNetLite, {"variant": "lite0", "class_count": 9, "memory_format": "nhwc"}, "unknown", "model.memory_format"),
    (EfficientNetLite, {"variant": "lite3", "class_count": 9}, "missing", "model.path"),
    (EfficientNetLite, {"variant": "lite3", "class_count": 9, "path": "missing.pth"}, "not_found", "model.path"),
    (NanoDet, {"path": None}, "missing", "model.path"),
    (NanoDet, {"path": "nowhere.onnx"}, "not_found", "model.path"),
    (NanoDet, {"path": __file__, "class_count": 10}, "conflict", "model.category_ids"),
    (NanoDet, {"path": __file__, "std": [1, 0, 1]}, "invalid", "model.mean"),
    (NanoDet, {"path": __file__, "least_score": 1.5}, "invalid", "model.least_score"),
    (NanoDet, {"path": __file__, "strides": []}, "invalid", "model.strides"),
    (Recommender, {"tower": True, "path": "nowhere.pth"}, "not_found", "model.path"),
    (SceneDetector, {"path": "nowhere.pth"}, "not_found", "model.path"),
    (SceneDetector, {"least_score": 2}, "invalid", "model.least_score"),
    (SceneDetector, {"most_overlap": -0.5}, "invalid", "model.most_overlap"),
    (SceneDetector, {"input_size": 100}, "invalid", "model.input_size"),
    (SentenceClassifier, {"labels": ["good"]}, "invalid", "model.labels"),
    (SentenceClassifier, {"labels": ["a", "b"], "tokens": 64}, "invalid", "model.tokens"),
    (SentenceClassifier, {"labels": ["a", "b"], "path": "nowhere"}, "not_found", "model.path"),
    (SentenceClassifier, {"labels": ["a", "b"], "head": "nowhere.safetensors"}, "not_found", "model.path"),
    (TimmClassifier, {"architecture": "vit", "class_count": 9, "path": "no/such/file.pth"}, "not_found", "model.path"),
    (TorchvisionClassifier, {"architecture": "resnet18", "class_count": 9}, "missing", "model.path"),
    (TorchvisionClassifier, {"architecture": "resnet18", "class_count": 9, "weights": "no/file.pth"}, "not_found", "model.path"),
    (TorchvisionClassifier, {"architecture": "resnet18", "class_count": 9, "path": "no/file.pth"}, "not_found", "model.path"),
    (TorchvisionClassifier, {"architecture": "a", "class_count": 9, "path": __file__, "resize_size": 1}, "conflict", "model.resize_size"),
    (TorchvisionDetector, {"architecture": "ssd", "class_count": 9}, "missing", "model.path"),
    (KerasClassifier, {"path": None, "class_count": 9}, "missing", "model.path"),
    (KerasClassifier, {"path": "nowhere.keras", "class_count": 9}, "not_found", "model.path"),
    (KerasClassifier, {"path": str(Path(__file__).parent), "class_count": 9}, "not_found", "model.path"),
    (KerasClassifier, {"path": __file__, "class_count": 9}, "unsupported", "model.path"),
]


@pytest.mark.parametrize(("target", "options", "code", "key"), CASES)
def test_options_that_are_none_are_refused(target: Callable[..., Any], options: dict[str, Any], code: Any, key: str) -> None:
    with refused(code, key):
        target(**options).check()


@pytest.mark.parametrize(
    ("changes", "code", "key"),
    [
        ({"resize_size": 200}, "conflict", "model.resize_size"),
        ({"interpolation": "cubic"}, "unknown", "model.interpolation"),
        ({"mean": (1.0,)}, "invalid", "model.mean"),
        ({"std": (1.0, 1.0, 0.0)}, "invalid", "model.mean"),
    ],
)
def test_impossible_inputs_of_pictures_are_refused(changes: dict[str, Any], code: Any, key: str) -> None:
    settings = {"crop_size": 224, "resize_size": 256, "interpolation": "bicubic", "mean": (127.0,) * 3, "std": (128.0,) * 3}
    with refused(code, key):
        ImageInput(**{**settings, **changes})
