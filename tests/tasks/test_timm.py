"""Networks of timm, and ViT-L/32 for pictures of 384 pixels in both frameworks of the study, with random weights and one block instead of 24."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from omegaconf import OmegaConf
from PIL import Image
from refusals import refused

from tasks.models.keras_vit import vit_in_keras
from tasks.models.timm_classifier import TimmClassifier

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("timm") is None, reason="run `pip install 'tail-quality[timm]'`")]

torch = Lazily("torch")
timm = Lazily("timm")


TINY = "test_vit.r160_in1k"


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return timm.create_model(TINY, num_classes=1000).eval()


@pytest.fixture(scope="module")
def checkpoint(network: Any, saved: Callable[..., Path]) -> Path:
    return saved(network, "tiny.safetensors")


def expected_logits(network: Any, pictures: list[Image.Image]) -> torch.Tensor:
    """Oracle: timm's own preparation of pictures."""
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model=network), is_training=False)
    with torch.inference_mode():
        return network(torch.stack([transform(picture) for picture in pictures]))


@pytest.mark.parametrize("runtime", ["torch", "torchscript", "onnxruntime"])
def test_a_local_file_answers_as_timm_does(runtime: str, network: Any, checkpoint: Path, picture: Image.Image, make_context: Any) -> None:
    model = TimmClassifier(TINY, 1000, path=str(checkpoint))
    model.check()
    assert model.files() == (checkpoint,)
    loaded = model.load(make_context(runtime, batch=2))
    outputs = loaded.infer(loaded.preprocess([picture, picture, picture]))
    expected = expected_logits(network, [picture])
    assert loaded.postprocess(outputs) == [expected.topk(5).indices[0].tolist()] * 3
    if runtime == "onnxruntime":
        assert loaded.facts["largest_difference"] < loaded.facts["tolerance"]
    else:
        torch.testing.assert_close(outputs, expected.expand(3, -1), atol=1e-4, rtol=0)


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


needs_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="run `pip install 'tail-quality[tensorflow]'`")


WRITTEN = OmegaConf.load(Path(__file__).parents[2] / "conf" / "model" / "vit_l_32_384.yaml")


ARCHITECTURE, PARAMETERS = WRITTEN.architecture, WRITTEN.parameters


CUT_DOWN = {"depth": 1}


@pytest.fixture(scope="module")
def vit() -> Any:
    """Return the architecture's network with weights by chance. Those that are 0 or 1 in a new network are others, or could be mistaken."""
    torch.manual_seed(0)
    made = timm.create_model(ARCHITECTURE, num_classes=1000, **CUT_DOWN).eval()
    for weight in made.parameters():
        if weight.dim() == 1:
            torch.nn.init.normal_(weight, 0.3, 0.2)
    torch.nn.init.normal_(made.cls_token)
    torch.nn.init.normal_(made.head.weight, std=0.02)
    return made


@pytest.fixture(scope="module")
def vit_file(vit: Any, saved: Callable[..., Path]) -> Path:
    return saved(vit, "vit.safetensors")


@pytest.fixture
def pictures() -> list[Image.Image]:
    chance = np.random.default_rng(1)
    return [Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8)) for shape in ((500, 375, 3), (300, 401, 3))]


def test_the_network_is_that_of_the_study() -> None:
    with torch.device("meta"):
        whole = timm.create_model(ARCHITECTURE, num_classes=1000)
    assert sum(weight.numel() for weight in whole.parameters()) == PARAMETERS
    assert (len(whole.blocks), whole.blocks[0].attn.num_heads, whole.embed_dim) == (24, 16, 1024)
    published = whole.pretrained_cfg
    assert (published["input_size"], published["interpolation"], published["crop_pct"]) == ((3, 384, 384), "bicubic", 1.0)
    assert published["mean"] == published["std"] == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("runtime", ["torch", pytest.param("tensorflow", marks=needs_tensorflow)])
def test_logits_are_those_of_timm_s_own_pipeline_within_1e_5(
    runtime: str, vit: Any, vit_file: Path, pictures: list[Image.Image], make_context: Any
) -> None:
    model = TimmClassifier(ARCHITECTURE, 1000, path=str(vit_file), arguments=CUT_DOWN)
    loaded = model.load(make_context(runtime, batch=2))
    expected = expected_logits(vit, pictures).numpy()
    outputs = loaded.infer(loaded.preprocess(pictures))
    assert np.abs(np.asarray(outputs) - expected).max() < 1e-5 < expected.std()
    assert loaded.postprocess(outputs) == np.argsort(-expected, axis=1)[:, :5].tolist()
    assert loaded.facts["classes"] == 1000


@needs_tensorflow
def test_a_network_with_more_to_it_has_no_twin(start_tensorflow: None) -> None:
    """What the twin does not know of would otherwise be left out in silence."""
    for name, options in (
        ("vit_tiny_patch16_224", {"depth": 1, "init_values": 1e-5}),
        ("vit_tiny_patch16_224", {"depth": 1, "class_token": False, "global_pool": "avg"}),
        ("resnet10t", {}),
    ):
        with refused("unsupported", "runtime", "tensorflow"):
            vit_in_keras(timm.create_model(name, **options), 224, "float32")
