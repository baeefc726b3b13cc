from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image
from refusals import refused

from orchestrator.contracts import LoadedModel, Model
from tasks.models.torchvision_detector import TorchvisionDetector, unit_pixels

torch = Lazily("torch")
torchvision = Lazily("torchvision")

pytestmark = pytest.mark.slow

SMALL = "ssdlite320_mobilenet_v3_large"
CLASSES = 12


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    built = torchvision.models.get_model(SMALL, weights=None, weights_backbone=None, num_classes=CLASSES).eval()
    # Random weights score every class alike and below what torchvision keeps; wider ones find something.
    for layer in built.head.classification_head.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.3)
    return built


@pytest.fixture(scope="module")
def checkpoint(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def pictures() -> list[Image.Image]:
    chance = np.random.default_rng(1)
    return [Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8)) for shape in ((120, 160, 3), (200, 90, 3), (64, 64, 3))]


@pytest.mark.parametrize("batch", [1, 2])
def test_it_answers_as_torchvision_does(
    batch: int, network: torch.nn.Module, checkpoint: Path, pictures: list[Image.Image], make_context: Any
) -> None:
    model = TorchvisionDetector(SMALL, CLASSES, path=str(checkpoint))
    model.check()
    assert isinstance(model, Model)
    assert model.files() == (checkpoint,)
    loaded = model.load(make_context(batch=batch))
    assert isinstance(loaded, LoadedModel)
    batches = [pictures[start : start + batch] for start in range(0, len(pictures), batch)]
    found = [row for part in batches for row in loaded.postprocess(loaded.infer(loaded.preprocess(part)))]
    with torch.inference_mode():
        expected = [network([torchvision.transforms.functional.pil_to_tensor(picture).float() / 255])[0] for picture in pictures]
    for one, whole in zip(found, expected, strict=True):
        corners = whole["boxes"].numpy()
        assert len(one["labels"]) > 5
        assert one["labels"] == whole["labels"].tolist()
        assert one["scores"] == pytest.approx(whole["scores"].tolist(), rel=1e-3)
        assert np.allclose(one["boxes"], np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]), atol=1e-2)
    assert loaded.facts["classes"] == CLASSES
    assert loaded.input_size(pictures[0]) == 160 * 120


def test_pixels_lie_between_0_and_1() -> None:
    (white,) = unit_pixels([Image.new("RGB", (5, 4), (255, 0, 51))])
    assert white.dtype == np.float32
    assert white.shape == (3, 4, 5)
    assert white[:, 0, 0].tolist() == [1, 0, np.float32(0.2)]


@pytest.mark.parametrize(
    ("options", "code", "key"),
    [
        ({"architecture": "fasterrcnn_mobilenet_v3_large_320_fpn"}, "conflict", ""),
        ({"class_count": 91}, "conflict", ""),
        ({"architecture": "fasterrcnn_resnet50"}, "unknown", "model.architecture"),
        ({"architecture": "resnet18"}, "unknown", "model.architecture"),
        ({"weights": "COCO_V9"}, "unknown", "model.weights"),
        ({"weights": "COCO_V1"}, "conflict", "model.classes"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], code: Any, key: str, checkpoint: Path, make_context: Any) -> None:
    settings = {"architecture": SMALL, "class_count": CLASSES, "path": str(checkpoint)} | options
    with refused(code, key):
        TorchvisionDetector(**settings).load(make_context())


def test_other_number_formats_are_refused(checkpoint: Path, make_context: Any) -> None:
    with refused("unsupported", "runtime.dtype", "bf16"):
        TorchvisionDetector(SMALL, CLASSES, path=str(checkpoint)).load(make_context(dtype="bf16"))
