from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image
from refusals import refused

from orchestrator.contracts import Model
from tasks.models.timm_classifier import TimmClassifier

torch = Lazily("torch")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed: run `pip install 'tail-quality[timm]'`"),
]

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


@pytest.mark.parametrize("runtime", ["torch", "torchscript", "onnxruntime"])
def test_a_local_file_answers_as_timm_does(runtime: str, network: Any, checkpoint: Path, picture: Image.Image, make_context: Any) -> None:
    model = TimmClassifier(TINY, 1000, path=str(checkpoint))
    assert isinstance(model, Model)
    model.check()
    assert model.files() == (checkpoint,)
    loaded = model.load(make_context(runtime, batch=2))
    outputs = loaded.infer(loaded.preprocess([picture, picture, picture]))
    expected = expected_logits(network, picture)
    assert loaded.postprocess(outputs) == [expected.topk(5).indices[0].tolist()] * 3
    if runtime == "onnxruntime":
        assert loaded.facts["largest_difference"] < loaded.facts["tolerance"]
    else:
        torch.testing.assert_close(outputs, expected.expand(3, -1), atol=1e-4, rtol=0)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's client, which asks nobody."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_published_weights_are_read_from_the_hub_s_cache(
    hub: Path, network: Any, checkpoint: Path, picture: Image.Image, make_context: Any
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


def test_weights_that_cannot_be_fetched_are_refused(hub: Path, make_context: Any) -> None:
    with refused("unreadable", value=f"timm/{TINY}"):
        TimmClassifier(TINY, 1000).load(make_context())


@pytest.mark.parametrize(
    ("options", "code", "key"),
    [
        ({"architecture": "test_vitt"}, "unknown", "model.architecture"),
        ({"architecture": "hf-hub:someone/network"}, "unknown", "model.architecture"),
        ({"architecture": "test_vit.other"}, "unknown", "model.architecture"),
        ({"architecture": "test_resnet.r160_in1k"}, "conflict", ""),
        ({"class_count": 10}, "conflict", ""),
        ({"arguments": {"deep": 1}}, "invalid", "model.arguments"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], code: Any, key: str, checkpoint: Path, make_context: Any) -> None:
    settings = {"architecture": TINY, "class_count": 1000, "path": str(checkpoint)} | options
    with refused(code, key):
        TimmClassifier(**settings).load(make_context())
