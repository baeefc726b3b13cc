from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image

from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model
from tasks.models.torchvision_detector import TorchvisionDetector, unit_pixels

torch = Lazily("torch")
torchvision = Lazily("torchvision")

pytestmark = pytest.mark.slow

MakeContext = Callable[..., LoadContext]
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
    batch: int, network: torch.nn.Module, checkpoint: Path, pictures: list[Image.Image], make_context: MakeContext
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


def test_every_published_entry_has_classes_that_are_coco_s() -> None:
    for architecture in torchvision.models.list_models(module=torchvision.models.detection):
        for entry in torchvision.models.get_model_weights(architecture):
            categories = entry.meta["categories"]
            assert (categories[1], categories[18]) == ("person", "dog") if len(categories) == 91 else len(categories) == 2


def test_a_checkpoint_of_another_architecture_is_one_line(checkpoint: Path, make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"small\.pth holds no weights of fasterrcnn_mobilenet_v3_large_320_fpn: ") as caught:
        TorchvisionDetector("fasterrcnn_mobilenet_v3_large_320_fpn", CLASSES, path=str(checkpoint)).load(make_context())
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_other_classes_is_one_line(checkpoint: Path, make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"small\.pth holds no weights of ssdlite.* instead of .*number of classes"):
        TorchvisionDetector(SMALL, 91, path=str(checkpoint)).load(make_context())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"architecture": "fasterrcnn_resnet50"},
            r"model\.architecture=fasterrcnn_resnet50 is no detector .* did you mean fasterrcnn_resnet50_fpn\?",
        ),
        ({"architecture": "resnet18"}, "is no detector"),
        ({"weights": "COCO_V9"}, r"model\.weights=COCO_V9 is unknown for ssdlite320_mobilenet_v3_large; choose one of COCO_V1"),
        ({"weights": "COCO_V1"}, r"knows 91 classes, not model\.classes=12"),
    ],
)
def test_unknown_names_are_refused(options: dict[str, Any], words: str, checkpoint: Path, make_context: MakeContext) -> None:
    settings = {"architecture": SMALL, "class_count": CLASSES, "path": str(checkpoint)} | options
    with pytest.raises(InputError, match=words):
        TorchvisionDetector(**settings).load(make_context())


def test_other_number_formats_are_refused(checkpoint: Path, make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"runtime\.dtype=bf16: torchvision's detectors compute in fp32 only"):
        TorchvisionDetector(SMALL, CLASSES, path=str(checkpoint)).load(make_context(dtype="bf16"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"model\.weights and model\.path are both empty"),
        ({"weights": "no/such/file.pth"}, r"model\.path=no/such/file\.pth is not a file"),
    ],
)
def test_what_is_wrong_without_a_framework_is_found_by_check(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        TorchvisionDetector(SMALL, CLASSES, **options).check()
