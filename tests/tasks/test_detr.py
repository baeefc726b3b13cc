import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image
from refusals import refused
from small_detr import SMALL, save_checkpoint, small_pictures

from orchestrator.contracts import LoadedModel
from tasks.models.detr import Detr

torch = Lazily("torch")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    return save_checkpoint(tmp_path_factory.mktemp("detr"), {"backbone_config": backbone})


@pytest.fixture
def pictures() -> list[Image.Image]:
    return small_pictures()


def answer(model: LoadedModel, pictures: list[Image.Image]) -> list[Any]:
    return model.postprocess(model.infer(model.preprocess(pictures)))


@pytest.mark.parametrize("batch", [1, 2])
def test_it_answers_as_transformers_does(batch: int, checkpoint: Path, pictures: list[Image.Image], make_context: Any) -> None:
    """Oracle: transformers' own preparation, by PIL as the study's program, its loading, and its reading of the outputs."""
    from transformers import DetrForObjectDetection, DetrImageProcessorPil

    model = Detr(path=str(checkpoint), **SMALL)
    model.check()
    loaded = model.load(make_context(batch=batch))
    assert isinstance(loaded, LoadedModel)
    given = pictures[:batch]
    found = answer(loaded, given)
    network = DetrForObjectDetection.from_pretrained(checkpoint).eval()
    processor = DetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 120})
    with torch.inference_mode():
        outputs = network(**processor(given, return_tensors="pt"))
    sizes = [(picture.height, picture.width) for picture in given]
    expected = processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes)
    for one, whole, picture in zip(found, expected, given, strict=True):
        order = torch.argsort(-whole["scores"], stable=True)
        assert one["labels"] == whole["labels"][order].tolist()
        assert one["scores"] == pytest.approx(whole["scores"][order].tolist(), rel=1e-4)
        corners = whole["boxes"][order].numpy().clip(0, [*picture.size, *picture.size])
        assert np.allclose(one["boxes"], np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]), atol=1e-2)
        assert len(set(one["labels"])) > 1
    assert (loaded.facts["classes"], loaded.facts["threads"]) == (91, {"intra_op": 2})


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
