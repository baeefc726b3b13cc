from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image

from orchestrator.contracts import InputError, LoadContext, Model
from tasks.models.timm_classifier import TimmClassifier

torch = Lazily("torch")

pytestmark = pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed: run `pip install 'tail-quality[timm]'`")

MakeContext = Callable[..., LoadContext]
TINY = "test_vit.r160_in1k"
REPOSITORY = "models--timm--test_vit.r160_in1k"


@pytest.fixture(scope="module")
def network() -> Any:
    import timm

    torch.manual_seed(0)
    return timm.create_model(TINY, num_classes=1000).eval()


@pytest.fixture(scope="module")
def checkpoint(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 280, 3), dtype=np.uint8))


def expected_logits(network: Any, picture: Image.Image) -> torch.Tensor:
    """Oracle: timm's own preparation of pictures."""
    from timm.data import create_transform, resolve_data_config

    transform = create_transform(**resolve_data_config(model=network), is_training=False)
    with torch.inference_mode():
        return network(transform(picture)[None])


@pytest.mark.parametrize("runtime", ["torch", "torchscript"])
def test_a_local_file_answers_as_timm_does(
    runtime: str, network: Any, checkpoint: Path, picture: Image.Image, make_context: MakeContext
) -> None:
    model = TimmClassifier(TINY, 1000, path=str(checkpoint))
    assert isinstance(model, Model)
    model.check()
    assert model.files() == (checkpoint,)
    loaded = model.load(make_context(runtime, batch=2))
    outputs = loaded.infer(loaded.preprocess([picture, picture, picture]))
    expected = expected_logits(network, picture)
    torch.testing.assert_close(outputs, expected.expand(3, -1), atol=1e-4, rtol=0)
    assert loaded.postprocess(outputs) == [expected.topk(5).indices[0].tolist()] * 3


@pytest.mark.slow
def test_onnxruntime_runs_it(network: Any, checkpoint: Path, picture: Image.Image, make_context: MakeContext) -> None:
    loaded = TimmClassifier(TINY, 1000, path=str(checkpoint)).load(make_context("onnxruntime", batch=2))
    answers = loaded.postprocess(loaded.infer(loaded.preprocess([picture])))
    assert answers == expected_logits(network, picture).topk(5).indices.tolist()
    assert loaded.facts["largest_difference"] < loaded.facts["tolerance"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's client, which asks nobody."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_published_weights_are_read_from_the_hub_s_cache(
    hub: Path, network: Any, checkpoint: Path, picture: Image.Image, make_context: MakeContext
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = hub / REPOSITORY / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(checkpoint.read_bytes())
    (hub / REPOSITORY / "refs").mkdir()
    (hub / REPOSITORY / "refs" / "main").write_text(commit)
    model = TimmClassifier(TINY, 1000)
    model.check()
    assert model.files() == ()
    loaded = model.load(make_context())
    assert loaded.postprocess(loaded.infer(loaded.preprocess([picture]))) == expected_logits(network, picture).topk(5).indices.tolist()
    assert loaded.facts["weights_hub"] == f"timm/{TINY}"
    assert len(loaded.facts["weights_sha256"]) == 64


def test_weights_that_cannot_be_fetched_are_one_line_with_the_remedy(hub: Path, make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=rf"model\.safetensors of timm/{TINY} could not be fetched \(.+\); set model\.path=FILE") as caught:
        TimmClassifier(TINY, 1000).load(make_context())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"architecture": "test_vitt"}, r"model\.architecture=test_vitt is no model of timm .*; did you mean test_vit"),
        ({"architecture": "hf-hub:someone/network"}, "is no model of timm"),
        ({"architecture": "test_vit.other"}, r"timm has no weights other of test_vit; there are: r160_in1k"),
        ({"architecture": "test_resnet.r160_in1k"}, r"tiny\.safetensors holds no weights of test_resnet\.r160_in1k: .* is missing"),
        ({"class_count": 10}, r"head\.weight is \(1000, 64\) instead of \(10, 64\)"),
    ],
)
def test_what_does_not_fit_is_one_line(options: dict[str, Any], words: str, checkpoint: Path, make_context: MakeContext) -> None:
    settings = {"architecture": TINY, "class_count": 1000, "path": str(checkpoint)} | options
    with pytest.raises(InputError, match=words) as caught:
        TimmClassifier(**settings).load(make_context())
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_found_by_check() -> None:
    with pytest.raises(InputError, match=r"model\.path=no/such/file\.pth is not a file"):
        TimmClassifier(TINY, 1000, path="no/such/file.pth").check()
