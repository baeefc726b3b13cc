from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image
from refusals import refused

from tasks.models.torchvision_classifier import TorchvisionClassifier

torch = Lazily("torch")
torchvision = Lazily("torchvision")

pytestmark = pytest.mark.slow

SMALL = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torchvision.models.mobilenet_v3_small(weights=None).eval()


@pytest.fixture(scope="module")
def checkpoint(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 280, 3), dtype=np.uint8))


def expected_answer(network: torch.nn.Module, picture: Image.Image) -> list[int]:
    preset = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        return network(preset(picture)[None]).topk(5).indices[0].tolist()


@pytest.mark.parametrize("options", [{"weights": None}, {"weights": "IMAGENET1K_V1"}], ids=["own keys", "published"])
def test_a_local_file_answers_as_torchvision_does(
    options: dict[str, Any], network: torch.nn.Module, checkpoint: Path, picture: Image.Image, make_context: Any
) -> None:
    model = TorchvisionClassifier(SMALL, 1000, path=str(checkpoint), **options)
    model.check()
    assert model.files() == (checkpoint,)
    loaded = model.load(make_context(batch=2))
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


@pytest.mark.parametrize(
    ("options", "code", "key"),
    [
        ({"architecture": "resnet18"}, "conflict", ""),
        ({"architecture": "resnet81"}, "unknown", "model.architecture"),
        ({"architecture": "fcn_resnet50"}, "unknown", "model.architecture"),
        ({"weights": "IMAGENET1K_V9"}, "unknown", "model.weights"),
        ({"weights": "IMAGENET1K_V1", "class_count": 10}, "conflict", "model.classes"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], code: Any, key: str, checkpoint: Path, make_context: Any) -> None:
    settings = {"architecture": SMALL, "class_count": 1000, "path": str(checkpoint)} | options
    with refused(code, key):
        TorchvisionClassifier(**settings).load(make_context())


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


def test_safetensors_files_are_read(network: torch.nn.Module, tmp_path: Path, make_context: Any) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "small.safetensors"
    save_file(network.state_dict(), path)
    model = TorchvisionClassifier(SMALL, 1000, weights=str(path))
    model.check()
    assert model.files() == (path,)
    assert model.load(make_context()).facts["classes"] == 1000
