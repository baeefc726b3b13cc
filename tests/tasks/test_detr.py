from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image
from refusals import refused

from orchestrator.contracts import LoadedModel, Model
from tasks.models.detr import Detr, padded_pictures, read_queries, resized

if find_spec("transformers") is None:
    pytest.skip("transformers is not installed: run `pip install transformers`", allow_module_level=True)

torch = Lazily("torch")

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"shortest": 64, "longest": 120}


def save_checkpoint(folder: Path, backbone: dict[str, Any], decoder_layers: int = 2) -> Path:
    """Write a DETR of random weights, its classes the 91 of the published checkpoints."""
    from transformers import DetrConfig, DetrForObjectDetection

    torch.manual_seed(0)
    config = DetrConfig(
        **backbone, d_model=32, encoder_layers=1, decoder_layers=decoder_layers, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=20, num_labels=91,
    )  # fmt: skip
    network = DetrForObjectDetection(config)
    # The usual random weights answer alike for every query; wider ones tell them apart.
    for part, std in ((network.model.decoder, 0.5), (network.bbox_predictor, 0.3), (network.class_labels_classifier, 1.0)):
        for layer in part.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=std)
    torch.nn.init.normal_(network.model.query_position_embeddings.weight, std=1.0)
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    return save_checkpoint(tmp_path_factory.mktemp("detr"), {"backbone_config": backbone})


@pytest.fixture
def pictures() -> list[Image.Image]:
    chance = np.random.default_rng(0)
    coarse = [chance.integers(0, 256, shape, dtype=np.uint8) for shape in ((6, 8, 3), (9, 5, 3))]
    return [
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC) for pixels, size in zip(coarse, ((160, 120), (90, 180)), strict=True)
    ]


def answer(model: LoadedModel, pictures: list[Image.Image]) -> list[Any]:
    return model.postprocess(model.infer(model.preprocess(pictures)))


@pytest.mark.parametrize("batch", [1, 2])
def test_it_answers_as_transformers_does(batch: int, checkpoint: Path, pictures: list[Image.Image], make_context: Any) -> None:
    """Oracle: transformers' own loading, and its own reading of the outputs."""
    from transformers import DetrForObjectDetection, DetrImageProcessor

    model = Detr(path=str(checkpoint), **SMALL)
    model.check()
    assert isinstance(model, Model)
    loaded = model.load(make_context(batch=batch))
    assert isinstance(loaded, LoadedModel)
    given = pictures[:batch]
    found = answer(loaded, given)
    network = DetrForObjectDetection.from_pretrained(checkpoint).eval()
    inputs = {name: torch.from_numpy(array) for name, array in padded_pictures(given, **SMALL).items()}
    with torch.inference_mode():
        outputs = network(**inputs)
    sizes = [(picture.height, picture.width) for picture in given]
    expected = DetrImageProcessor().post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes)
    for one, whole, picture in zip(found, expected, given, strict=True):
        order = torch.argsort(-whole["scores"], stable=True)
        assert one["labels"] == whole["labels"][order].tolist()
        assert one["scores"] == pytest.approx(whole["scores"][order].tolist(), rel=1e-4)
        corners = whole["boxes"][order].numpy().clip(0, [*picture.size, *picture.size])
        assert np.allclose(one["boxes"], np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]), atol=1e-2)
        assert len(set(one["labels"])) > 1
    assert loaded.facts["classes"] == 91
    assert loaded.facts["threads"] == {"intra_op": 2}


def test_pictures_are_prepared_as_transformers_does(pictures: list[Image.Image]) -> None:
    """Oracle: transformers' two processors. The one by PIL does the same; the other rounds after resizing in another way: by up to two of 255
    steps.
    """
    from transformers import DetrImageProcessor, DetrImageProcessorPil

    ours = padded_pictures(pictures, **SMALL)
    for processor, bound in ((DetrImageProcessorPil, 1e-6), (DetrImageProcessor, 2 / 255 / 0.224 + 1e-5)):
        expected = processor(size={"shortest_edge": 64, "longest_edge": 120})(pictures, return_tensors="pt")
        assert ours["pixel_values"].shape == tuple(expected["pixel_values"].shape)
        assert np.array_equal(ours["pixel_mask"], expected["pixel_mask"].numpy())
        assert np.abs(ours["pixel_values"] - expected["pixel_values"].numpy()).max() < bound


@pytest.fixture(scope="module")
def of_the_hub_s_form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint like facebook/detr-resnet-101-dc5: a backbone by timm with its last stage dilated, here of 18 layers."""
    if find_spec("timm") is None:
        pytest.skip("timm is not installed: run `pip install timm`")
    backbone = {"use_timm_backbone": True, "backbone": "resnet18", "dilation": True}
    return save_checkpoint(tmp_path_factory.mktemp("dc5"), backbone, decoder_layers=1)


@pytest.mark.parametrize("batch", [1, 2])
def test_logits_are_those_of_transformers_own_pipeline_within_1e_5(
    batch: int, of_the_hub_s_form: Path, pictures: list[Image.Image], make_context: Any
) -> None:
    """Its processor by PIL, as the study's program resizes, and its network; in batches of one and of two, as the study has them."""
    from transformers import DetrForObjectDetection, DetrImageProcessorPil

    loaded = Detr(path=str(of_the_hub_s_form), **SMALL).load(make_context(batch=batch))
    found = loaded.infer(loaded.preprocess(pictures[:batch])).arrays
    network = DetrForObjectDetection.from_pretrained(of_the_hub_s_form).eval()
    processor = DetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 120})
    with torch.inference_mode():
        outputs = network(**processor(pictures[:batch], return_tensors="pt"))
    for ours, theirs in zip(found, (outputs.logits, outputs.pred_boxes), strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-5 < theirs.std()


def test_onnxruntime_answers_alike_for_pictures_of_any_shape(tmp_path: Path, pictures: list[Image.Image], make_context: Any) -> None:
    """One graph for all: the example that it is exported with has another shape than each of these batches."""
    from transformers import ResNetConfig

    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", out_features=["stage1"])
    model = Detr(path=str(save_checkpoint(tmp_path / "detr", {"backbone_config": backbone}, decoder_layers=1)), **SMALL)
    eager, other = model.load(make_context()), model.load(make_context("onnxruntime"))
    for batch in (pictures[:1], pictures[1:], pictures):
        expected, found = answer(eager, batch), answer(other, batch)
        for one, whole in zip(found, expected, strict=True):
            assert one["scores"] == pytest.approx(whole["scores"], abs=1e-3)
            assert one["labels"] == whole["labels"]
    assert other.facts["largest_difference"] < 1e-3


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (1066, 800)),
        ((480, 640), (800, 1066)),
        ((1000, 300), (1333, 400)),
        ((500, 500), (800, 800)),
        ((800, 1200), (800, 1200)),
    ],
)
def test_the_shorter_side_is_scaled_as_far_as_the_longer_allows(size: tuple[int, int], expected: tuple[int, int]) -> None:
    found = resized(size, 800, 1333)
    assert found == pytest.approx(expected, abs=1)
    assert max(found) <= 1333


def test_queries_are_read_by_hand() -> None:
    logits = np.log(np.array([[[0.1, 0.6, 0.3], [0.7, 0.2, 0.1], [0.05, 0.05, 0.9]]]))
    boxes = np.array([[[0.5, 0.5, 0.2, 0.4], [0.1, 0.2, 0.2, 0.2], [0.9, 0.9, 0.4, 0.4]]])
    (found,) = read_queries((logits, boxes), [(100, 50)], least_score=0.1)
    assert found["labels"] == [0, 1]
    assert found["scores"] == pytest.approx([0.7, 0.6])
    assert np.allclose(found["boxes"], [[0, 5, 20, 10], [40, 15, 20, 20]])


def test_files_of_a_folder_are_its_identity_and_the_hub_has_none(checkpoint: Path, make_context: Any) -> None:
    assert {file.name for file in Detr(path=str(checkpoint)).files()} >= {"config.json", "model.safetensors"}
    assert list(Detr(hub="facebook/detr-resnet-50").files()) == []
    assert Detr(path=str(checkpoint), **SMALL).load(make_context(dtype="bf16")).facts["weights"] == ["cpu torch.bfloat16"]


def changed(checkpoint: Path, folder: Path, **changes: Any) -> Path:
    """Copy a checkpoint with other keys in its configuration."""
    shutil.copytree(checkpoint, folder)
    config = json.loads((checkpoint / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


def test_a_checkpoint_of_another_form_is_refused(tmp_path: Path, checkpoint: Path, make_context: Any) -> None:
    other = changed(checkpoint, tmp_path / "other", architectures=["ResNetForImageClassification"])
    with refused("conflict", "model.architecture", "DetrForObjectDetection"):
        Detr(path=str(other)).check()
    deeper = changed(checkpoint, tmp_path / "deeper", decoder_layers=3)
    with refused("damaged", "model.path", deeper):
        Detr(path=str(deeper), **SMALL).load(make_context())


@pytest.mark.parametrize(
    ("options", "code", "key"),
    [
        ({}, "missing", "model.path"),
        ({"path": "nowhere"}, "not_found", "model.path"),
        ({"hub": "x/y", "shortest": 900, "longest": 800}, "invalid", "model.shortest"),
        ({"hub": "x/y", "least_score": 7}, "invalid", "model.least_score"),
    ],
)
def test_options_that_are_none_are_refused(options: dict[str, Any], code: Any, key: str) -> None:
    with refused(code, key):
        Detr(**options).check()
