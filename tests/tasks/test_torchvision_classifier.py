from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image

from orchestrator.contracts import InputError, LoadContext
from tasks.models.torchvision_classifier import TorchvisionClassifier, builder_arguments, published_input

torch = Lazily("torch")
torchvision = Lazily("torchvision")

pytestmark = pytest.mark.slow

MakeContext = Callable[..., LoadContext]
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
    options: dict[str, Any], network: torch.nn.Module, checkpoint: Path, picture: Image.Image, make_context: MakeContext
) -> None:
    model = TorchvisionClassifier(SMALL, 1000, path=str(checkpoint), **options)
    model.check()
    assert model.files() == (checkpoint,)
    loaded = model.load(make_context(batch=2))
    answers = loaded.postprocess(loaded.infer(loaded.preprocess([picture, picture])))
    assert answers == [expected_answer(network, picture)] * 2


def test_weights_may_be_a_file(checkpoint: Path, make_context: MakeContext) -> None:
    model = TorchvisionClassifier(SMALL, 1000, weights=str(checkpoint))
    assert model.files() == (checkpoint,)
    model.check()
    assert model.load(make_context()).facts["classes"] == 1000


def test_published_weights_are_read_from_pytorch_s_cache(
    checkpoint: Path,
    network: torch.nn.Module,
    picture: Image.Image,
    make_context: MakeContext,
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


def test_a_download_that_fails_is_one_line_with_the_remedy(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port: nobody answers
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(InputError, match=r"mobilenet_v3_small-\w+\.pth could not be fetched .* or set model\.path=FILE") as caught:
        TorchvisionClassifier(SMALL, 1000, weights="IMAGENET1K_V1").load(make_context())
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


def test_a_downloaded_file_is_checked_against_its_hash(make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = tmp_path / "mobilenet_v3_small-047dcff4.pth"
    served.write_bytes(b"not what the hash says")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    published = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1
    monkeypatch.setattr(type(published), "url", property(lambda _: served.as_uri()))
    with pytest.raises(InputError, match=r"could not be fetched .*invalid hash"):
        TorchvisionClassifier(SMALL, 1000, weights="IMAGENET1K_V1").load(make_context())


def test_a_checkpoint_of_another_architecture_is_one_line(checkpoint: Path, make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"small\.pth holds no weights of resnet18: .* is missing \(\d+ differences of 122") as caught:
        TorchvisionClassifier("resnet18", 1000, path=str(checkpoint)).load(make_context())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"architecture": "resnet81"}, r"model\.architecture=resnet81 is no classifier .* did you mean resnet18\?"),
        ({"architecture": "fcn_resnet50"}, "is no classifier"),
        (
            {"weights": "IMAGENET1K_V9"},
            "model.weights=IMAGENET1K_V9 is unknown for mobilenet_v3_small; choose one of IMAGENET1K_V1",
        ),
        (
            {"weights": "IMAGENET1K_V1", "class_count": 10},
            r"knows 1000 classes, not model\.classes=10; set model\.classes=1000",
        ),
    ],
)
def test_unknown_names_are_refused(options: dict[str, Any], words: str, checkpoint: Path, make_context: MakeContext) -> None:
    settings = {"architecture": SMALL, "class_count": 1000, "path": str(checkpoint)} | options
    with pytest.raises(InputError, match=words):
        TorchvisionClassifier(**settings).load(make_context())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"model\.weights and model\.path are both empty"),
        ({"weights": "no/such/file.pth"}, r"model\.path=no/such/file\.pth is not a file"),
        ({"path": "no/such/file.pth"}, r"model\.path=no/such/file\.pth is not a file"),
        ({"path": __file__, "resize_size": 100}, r"model\.resize_size=100 must be at least model\.input_size=224"),
    ],
)
def test_what_is_wrong_without_a_framework_is_found_by_check(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        TorchvisionClassifier(SMALL, 1000, **options).check()


def test_a_file_that_carries_code_is_not_run(tmp_path: Path, make_context: MakeContext) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "trap.pth"
    torch.save({"weights": Trap()}, path)
    with pytest.raises(InputError, match=r"trap\.pth cannot be read as weights") as caught:
        TorchvisionClassifier(SMALL, 1000, path=str(path)).load(make_context())
    assert not (tmp_path / "sprung").exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 a broken archive"])
def test_a_broken_file_is_one_line(content: bytes, tmp_path: Path, make_context: MakeContext) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.pth cannot be read as weights \(.+\)") as caught:
        TorchvisionClassifier(SMALL, 1000, path=str(path)).load(make_context())
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_wraps_its_state_dict_is_refused(network: torch.nn.Module, tmp_path: Path, make_context: MakeContext) -> None:
    path = tmp_path / "wrapped.pth"
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, path)
    with pytest.raises(InputError, match="no plain state dict"):
        TorchvisionClassifier(SMALL, 1000, path=str(path)).load(make_context())


def test_published_entries_get_the_network_they_belong_to() -> None:
    """Oracle: the number of parameters that torchvision publishes with each entry."""
    for architecture in torchvision.models.list_models(module=torchvision.models):
        if architecture.startswith("regnet_"):  # computes its widths with tensors, which have no values on the meta device
            continue
        built: dict[str, Any] = {}
        for entry in torchvision.models.get_model_weights(architecture):
            arguments = builder_arguments(architecture, published_input(entry).crop_size, published=True)
            if (given := str(arguments)) not in built:
                with torch.device("meta"):
                    built[given] = torchvision.models.get_model(architecture, num_classes=1000, **arguments)
            # Of GoogLeNet alone, the auxiliary heads are not counted.
            left_out = ("aux",) if architecture == "googlenet" else ()
            counted = sum(weight.numel() for name, weight in built[given].named_parameters() if not name.startswith(left_out))
            assert counted == entry.meta["num_params"], entry
            assert getattr(built[given], "transform_input", True), "torchvision's own weights expect it"


def test_safetensors_files_are_read_or_their_package_is_named(network: torch.nn.Module, tmp_path: Path, make_context: MakeContext) -> None:
    path = tmp_path / "small.safetensors"
    path.touch()
    model = TorchvisionClassifier(SMALL, 1000, path=str(path))
    if find_spec("safetensors") is None:
        with pytest.raises(InputError, match=r"needs the package safetensors.*pip install safetensors"):
            model.check()
        return
    resolve_name("safetensors.torch:save_file")(network.state_dict(), path)
    assert model.load(make_context()).facts["classes"] == 1000
