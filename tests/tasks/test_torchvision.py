from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image
from refusals import refused

from orchestrator.contracts import LoadedModel
from tasks.models.torchvision_classifier import TorchvisionClassifier
from tasks.models.torchvision_detector import TorchvisionDetector, unit_pixels

pytestmark = pytest.mark.slow

torch = Lazily("torch")


torchvision = Lazily("torchvision")


SMALL = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torchvision.models.mobilenet_v3_small(weights=None).eval()


@pytest.fixture(scope="module")
def checkpoint(network: torch.nn.Module, saved: Callable[..., Path]) -> Path:
    return saved(network)


def expected_answer(network: torch.nn.Module, picture: Image.Image) -> list[int]:
    preset = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        return network(preset(picture)[None]).topk(5).indices[0].tolist()


@pytest.mark.parametrize(
    ("name", "key", "options"),
    [("small.pth", "path", {"weights": None}), ("small.pth", "path", {"weights": "IMAGENET1K_V1"}), ("small.safetensors", "weights", {})],
    ids=["own keys", "published", "safetensors"],
)
def test_a_local_file_answers_as_torchvision_does(
    name: str,
    key: str,
    options: dict[str, Any],
    network: torch.nn.Module,
    saved: Callable[..., Path],
    picture: Image.Image,
    make_context: Any,
) -> None:
    path = saved(network, name)
    model = TorchvisionClassifier(SMALL, 1000, **{key: str(path)}, **options)
    model.check()
    assert model.files() == (path,)
    loaded = model.load(make_context(batch=2))
    assert loaded.facts["classes"] == 1000
    answers = loaded.postprocess(loaded.infer(loaded.preprocess([picture, picture])))
    assert answers == [expected_answer(network, picture)] * 2


def test_published_weights_are_read_from_pytorch_s_cache(
    checkpoint: Path,
    network: torch.nn.Module,
    picture: Image.Image,
    make_context: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / published.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(checkpoint.read_bytes())
    model = TorchvisionClassifier(SMALL, 1000, weights="IMAGENET1K_V1")
    model.check()
    assert model.files() == ()
    loaded = model.load(make_context())
    assert loaded.postprocess(loaded.infer(loaded.preprocess([picture]))) == [expected_answer(network, picture)]
    assert loaded.facts["weights_url"] == published.url
    assert len(loaded.facts["weights_sha256"]) == 64


def test_weights_that_cannot_be_fetched_are_refused(make_context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at the discard port; and a file with another hash than its name says is not what was published."""
    published = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    model = TorchvisionClassifier(SMALL, 1000, weights="IMAGENET1K_V1")
    with refused("unreadable", value=published.url):
        model.load(make_context())
    assert list((tmp_path / "home" / "hub" / "checkpoints").iterdir()) == []
    served = tmp_path / "mobilenet_v3_small-047dcff4.pth"
    served.write_bytes(b"not what the hash says")
    monkeypatch.setattr(type(published), "url", property(lambda _: served.as_uri()))
    with refused("unreadable", value=served.as_uri()):
        model.load(make_context())


def test_files_that_hold_no_weights_are_refused_and_their_code_is_not_run(
    network: torch.nn.Module, tmp_path: Path, make_context: Any
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "file.pth"
    model = TorchvisionClassifier(SMALL, 1000, path=str(path))
    for content in (b"", b"not weights", b"PK\x03\x04 a broken archive"):
        path.write_bytes(content)
        with refused("damaged", "model.path"):
            model.load(make_context())
    torch.save({"weights": Trap()}, path)
    with refused("damaged", "model.path"):
        model.load(make_context())
    assert not (tmp_path / "sprung").exists()
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, path)  # wrapped
    with refused("unsupported", "model.path"):
        model.load(make_context())


SMALL_DETECTOR = "ssdlite320_mobilenet_v3_large"


CLASSES = 12


@pytest.fixture(scope="module")
def detector() -> torch.nn.Module:
    torch.manual_seed(0)
    built = torchvision.models.get_model(SMALL_DETECTOR, weights=None, weights_backbone=None, num_classes=CLASSES).eval()
    # Random weights score every class alike and below what torchvision keeps; wider ones find something.
    for layer in built.head.classification_head.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.3)
    return built


@pytest.fixture(scope="module")
def detector_file(detector: torch.nn.Module, saved: Callable[..., Path]) -> Path:
    return saved(detector)


@pytest.fixture
def pictures() -> list[Image.Image]:
    chance = np.random.default_rng(1)
    return [Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8)) for shape in ((120, 160, 3), (200, 90, 3), (64, 64, 3))]


@pytest.mark.parametrize("batch", [1, 2])
def test_it_answers_as_torchvision_does(
    batch: int, detector: torch.nn.Module, detector_file: Path, pictures: list[Image.Image], make_context: Any
) -> None:
    model = TorchvisionDetector(SMALL_DETECTOR, CLASSES, path=str(detector_file))
    model.check()
    assert model.files() == (detector_file,)
    loaded = model.load(make_context(batch=batch))
    assert isinstance(loaded, LoadedModel)
    batches = [pictures[start : start + batch] for start in range(0, len(pictures), batch)]
    found = [row for part in batches for row in loaded.postprocess(loaded.infer(loaded.preprocess(part)))]
    with torch.inference_mode():
        expected = [detector([torchvision.transforms.functional.pil_to_tensor(picture).float() / 255])[0] for picture in pictures]
    for one, whole in zip(found, expected, strict=True):
        corners = whole["boxes"].numpy()
        assert len(one["labels"]) > 5
        assert one["labels"] == whole["labels"].tolist()
        assert one["scores"] == pytest.approx(whole["scores"].tolist(), rel=1e-3)
        assert np.allclose(one["boxes"], np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]), atol=1e-2)
    assert (loaded.facts["classes"], loaded.input_size(pictures[0])) == (CLASSES, 160 * 120)


def test_pixels_lie_between_0_and_1() -> None:
    (white,) = unit_pixels([Image.new("RGB", (5, 4), (255, 0, 51))])
    assert (white.dtype, white.shape) == (np.float32, (3, 4, 5))
    assert white[:, 0, 0].tolist() == [1, 0, np.float32(0.2)]


@pytest.mark.parametrize(
    ("target", "options", "dtype", "code", "key"),
    [
        (TorchvisionClassifier, {"architecture": "resnet18"}, "fp32", "conflict", ""),
        (TorchvisionClassifier, {"architecture": "resnet81"}, "fp32", "unknown", "model.architecture"),
        (TorchvisionClassifier, {"architecture": "fcn_resnet50"}, "fp32", "unknown", "model.architecture"),
        (TorchvisionClassifier, {"weights": "IMAGENET1K_V9"}, "fp32", "unknown", "model.weights"),
        (TorchvisionClassifier, {"weights": "IMAGENET1K_V1", "class_count": 10}, "fp32", "conflict", "model.classes"),
        (TorchvisionDetector, {"architecture": "fasterrcnn_mobilenet_v3_large_320_fpn"}, "fp32", "conflict", ""),
        (TorchvisionDetector, {"class_count": 91}, "fp32", "conflict", ""),
        (TorchvisionDetector, {"architecture": "fasterrcnn_resnet50"}, "fp32", "unknown", "model.architecture"),
        (TorchvisionDetector, {"architecture": "resnet18"}, "fp32", "unknown", "model.architecture"),
        (TorchvisionDetector, {"weights": "COCO_V9"}, "fp32", "unknown", "model.weights"),
        (TorchvisionDetector, {"weights": "COCO_V1"}, "fp32", "conflict", "model.classes"),
        (TorchvisionDetector, {}, "bf16", "unsupported", "runtime.dtype"),
    ],
)
def test_what_does_not_fit_is_refused(
    target: Any, options: dict[str, Any], dtype: str, code: Any, key: str, checkpoint: Path, detector_file: Path, make_context: Any
) -> None:
    fitting = {
        TorchvisionClassifier: {"architecture": SMALL, "class_count": 1000, "path": str(checkpoint)},
        TorchvisionDetector: {"architecture": SMALL_DETECTOR, "class_count": CLASSES, "path": str(detector_file)},
    }
    with refused(code, key):
        target(**fitting[target] | options).load(make_context(dtype=dtype))
