"""Models that TensorFlow runs: files as Keras saves them, and twins of networks of PyTorch with the same weights; and networks of timm."""

import json
import subprocess
import sys
import warnings
import zipfile
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

from orchestrator.subject.digests import cache_dir
from tasks.imagenet_samples import ImageNetSamples
from tasks.models.efficientnet_lite import EfficientNetLite
from tasks.models.keras_classifier import KerasClassifier
from tasks.models.keras_vit import vit_in_keras
from tasks.models.timm_classifier import TimmClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="tensorflow is not installed: run `pip install 'tail-quality[tensorflow]'`"),
]

torch = Lazily("torch")
timm = Lazily("timm")

SIZE = 24
OPTIONS: dict[str, Any] = {"class_count": 7, "input_size": SIZE, "resize_size": SIZE, "mean": [0.5] * 3, "std": [0.25] * 3}


def build(*layers: Any, dtype: str = "float32") -> Any:
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3), dtype=dtype),
            keras.layers.Conv2D(5, 3, activation="relu", dtype=dtype),
            keras.layers.GlobalMaxPooling2D(dtype=dtype),
            *layers,
            keras.layers.Dense(7, dtype=dtype),
        ]
    )


def save(model: Any, path: Path) -> None:
    with warnings.catch_warnings():
        # Keras 3.15 with numpy 2.4, while it writes.
        warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy keyword", category=DeprecationWarning)
        model.save(path)


@pytest.fixture(scope="module")
def model(start_tensorflow: None) -> Any:
    return build()


@pytest.fixture(scope="module")
def files(model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    save(model, folder / "small.keras")
    model.export(folder / "small", verbose=False)
    return {"keras": folder / "small.keras", "saved model": folder / "small"}


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.mark.parametrize("form", ["keras", "saved model"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_file_answers_as_the_model_that_was_saved(
    form: str, batch: int, model: Any, files: dict[str, Path], pictures: list[Image.Image], make_context: Any
) -> None:
    classifier = KerasClassifier(str(files[form]), **OPTIONS)
    classifier.check()
    assert all(file.is_file() for file in classifier.files())
    loaded = classifier.load(make_context("tensorflow", batch=batch))
    expected = model((np.stack([np.asarray(picture) for picture in pictures]) / 255 - 0.5) / 0.25).numpy()
    for part in (slice(0, 2), slice(2, 3)):
        outputs = loaded.infer(loaded.preprocess(pictures[part]))
        np.testing.assert_allclose(outputs.numpy(), expected[part], atol=1e-5)
        assert loaded.postprocess(outputs) == np.argsort(-expected[part], axis=1)[:, :5].tolist()
    told = {
        "threads": {"intra_op": 2}, "inter_op_threads": 1, "weights": ["float32"], "outputs_on": ["CPU:0"], "xla": "off", "onednn": True,
        "classes": 7,
    }  # fmt: skip
    assert {name: loaded.facts[name] for name in told} == told


def test_what_this_process_or_file_cannot_do_is_refused(files: dict[str, Path], tmp_path: Path, make_context: Any) -> None:
    classifier = KerasClassifier(str(files["keras"]), **OPTIONS)
    for changes, code, key in (
        ({"threads": 1}, "conflict", "system.threads"),
        ({"device": "cuda:7"}, "unsupported", "system.device"),
        ({"dtype": "fp16"}, "unsupported", "runtime.dtype"),
        ({"runtime": "torch"}, "unsupported", "runtime"),
    ):
        with refused(code, key):
            classifier.load(make_context(**{"runtime": "tensorflow", **changes}))
    save(build(dtype="bfloat16"), tmp_path / "short.keras")
    short = KerasClassifier(str(tmp_path / "short.keras"), **OPTIONS)
    assert short.load(make_context("tensorflow", dtype="bf16")).facts["weights"] == ["bfloat16"]
    with refused("unsupported", "runtime.dtype", "fp32"):
        short.load(make_context("tensorflow"))


def test_in_a_process_of_its_own_threads_are_what_the_trial_says(files: dict[str, Path], tmp_path: Path) -> None:
    program = (
        "import json, sys, pathlib\n"
        "from orchestrator.contracts import LoadContext\n"
        "from tasks.models.keras_classifier import KerasClassifier\n"
        "context = LoadContext('tensorflow', 'fp32', True, False, 'cpu', 1, 1, pathlib.Path(sys.argv[2]))\n"
        "loaded = KerasClassifier(sys.argv[1], **json.loads(sys.argv[3])).load(context)\n"
        "names = [path.read_text().strip() for path in pathlib.Path('/proc/self/task').glob('*/comm')]\n"
        "print(json.dumps([dict(loaded.facts), names, 'torch' in sys.modules]))\n"
    )
    command = [sys.executable, "-c", program, str(files["keras"]), str(tmp_path), json.dumps(OPTIONS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    facts, names, torch_loaded = json.loads(ran.stdout)
    assert (facts["threads"], facts["deterministic"], torch_loaded) == ({"intra_op": 1}, True, False)
    assert names.count("tf_Compute") <= 1, "more threads compute than TensorFlow was given"
    assert (tmp_path / "keras").is_dir(), "Keras wrote its defaults elsewhere"


def test_code_inside_a_keras_file_is_not_run(
    start_tensorflow: None, tmp_path: Path, make_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    monkeypatch.chdir(tmp_path)
    trap = build(keras.layers.Lambda(lambda inputs: (__import__("pathlib").Path("sprung").touch(), inputs)[1]))
    assert (tmp_path / "sprung").exists(), "the trap does not work"
    save(trap, tmp_path / "trap.keras")
    (tmp_path / "sprung").unlink()
    with refused("damaged", "model.path"):
        KerasClassifier(str(tmp_path / "trap.keras"), **OPTIONS).load(make_context("tensorflow"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(("key", "value", "of"), [("class_count", 10, "model.classes"), ("input_size", 16, "model.path")])
@pytest.mark.parametrize("form", ["keras", "saved model"])
def test_a_file_that_does_not_fit_is_refused(form: str, key: str, value: int, of: str, files: dict[str, Path], make_context: Any) -> None:
    with refused("conflict", of):
        KerasClassifier(str(files[form]), **OPTIONS | {key: value}).load(make_context("tensorflow"))


def test_broken_files_are_refused(model: Any, tmp_path: Path, make_context: Any) -> None:
    import keras

    (tmp_path / "saved_model.pb").write_bytes(b"no graph")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("notes.txt", "an archive of something else")
    save(keras.Model(model.inputs, [model.outputs[0], model.outputs[0]]), tmp_path / "two.keras")
    for path, code in ((tmp_path, "damaged"), (tmp_path / "other.keras", "damaged"), (tmp_path / "two.keras", "unsupported")):
        with refused(code, "model.path", path):
            KerasClassifier(str(path), **OPTIONS).load(make_context("tensorflow"))


@pytest.fixture(scope="module")
def of_torch(make_any_context: Any) -> tuple[list[Any], list[Any], Any, list[list[int]]]:
    """Return the task's samples and pictures with PyTorch's own logits and answers."""
    samples = ImageNetSamples().samples()
    pictures = [ImageNetSamples().decode(sample.read()) for sample in samples]
    eager = EfficientNetLite("lite0", class_count=1000).load(make_any_context())
    found = eager.infer(eager.preprocess(pictures))
    return samples, pictures, np.asarray(found), eager.postprocess(found)


@pytest.mark.parametrize(("runtime", "bound"), [("torchscript", 1e-4), ("onnxruntime", 1e-4), ("tensorflow", 1e-3)])
def test_all_runtimes_give_the_logits_of_torch(
    runtime: str, bound: float, of_torch: tuple[list[Any], list[Any], Any, list[list[int]]], make_context: Any
) -> None:
    samples, pictures, expected, answers = of_torch
    assert np.mean([sample.reference == row[0] for row, sample in zip(answers, samples, strict=True)]) == 0.9
    assert np.abs(expected).max() > 1
    other = EfficientNetLite("lite0", class_count=1000).load(make_context(runtime, batch=3, cache_dir=cache_dir()))
    for part in (slice(0, 3), slice(3, 5)):
        outputs = other.infer(other.preprocess(pictures[part]))
        logits = outputs.copy_outputs_to_cpu()[0] if runtime == "onnxruntime" else np.asarray(outputs)
        assert logits.shape == expected[part].shape
        assert np.abs(logits - expected[part]).max() < bound
        assert other.postprocess(outputs) == answers[part]
    assert other.facts["largest_difference"] < bound
    if runtime == "onnxruntime":
        assert 0 < other.facts["largest_difference"] < other.facts["tolerance"] < 1e-3
    assert other.facts["threads"] == {"intra_op": 2}


needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="run `pip install 'tail-quality[timm]'`")
WRITTEN = OmegaConf.load(Path(__file__).parents[2] / "conf" / "model" / "vit_l_32_384.yaml")
ARCHITECTURE, PARAMETERS = WRITTEN.architecture, WRITTEN.parameters
CUT_DOWN = {"depth": 1}


@pytest.fixture(scope="module")
def vit() -> Any:
    """Return ViT-L/32 with one block instead of 24, and weights by chance: those that are 0 or 1 in a new network could be mistaken."""
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


@needs_timm
def test_the_network_is_that_of_the_study() -> None:
    with torch.device("meta"):
        whole = timm.create_model(ARCHITECTURE, num_classes=1000)
    assert sum(weight.numel() for weight in whole.parameters()) == PARAMETERS
    assert (len(whole.blocks), whole.blocks[0].attn.num_heads, whole.embed_dim) == (24, 16, 1024)
    published = whole.pretrained_cfg
    assert (published["input_size"], published["interpolation"], published["crop_pct"]) == ((3, 384, 384), "bicubic", 1.0)
    assert published["mean"] == published["std"] == (0.5, 0.5, 0.5)


@needs_timm
@pytest.mark.parametrize("runtime", ["torch", "torchscript", "tensorflow"])
def test_logits_are_those_of_timm_s_own_pipeline_within_1e_5(runtime: str, vit: Any, vit_file: Path, make_context: Any) -> None:
    chance = np.random.default_rng(1)
    pictures = [Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8)) for shape in ((500, 375, 3), (300, 401, 3))]
    model = TimmClassifier(ARCHITECTURE, 1000, path=str(vit_file), arguments=CUT_DOWN)
    model.check()
    assert model.files() == (vit_file,)
    loaded = model.load(make_context(runtime, batch=3))
    prepare = timm.data.create_transform(**timm.data.resolve_data_config(model=vit), is_training=False)
    with torch.inference_mode():
        expected = vit(torch.stack([prepare(picture) for picture in pictures])).numpy()
    outputs = loaded.infer(loaded.preprocess(pictures))
    assert np.abs(np.asarray(outputs) - expected).max() < 1e-5 < expected.std()
    assert loaded.postprocess(outputs) == np.argsort(-expected, axis=1)[:, :5].tolist()
    assert loaded.facts["classes"] == 1000


@needs_timm
@pytest.mark.parametrize(
    ("options", "code", "key"),
    [
        ({"architecture": "test_vitt"}, "unknown", "model.architecture"),
        ({"architecture": "hf-hub:someone/network"}, "unknown", "model.architecture"),
        ({"architecture": "test_vit.other"}, "unknown", "model.architecture"),
        ({"architecture": "test_resnet.r160_in1k", "arguments": {}}, "conflict", ""),
        ({"class_count": 10}, "conflict", ""),
        ({"arguments": {"deep": 1}}, "invalid", "model.arguments"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], code: Any, key: str, vit_file: Path, make_context: Any) -> None:
    settings = {"architecture": ARCHITECTURE, "class_count": 1000, "path": str(vit_file), "arguments": CUT_DOWN} | options
    with refused(code, key):
        TimmClassifier(**settings).load(make_context())


@needs_timm
def test_a_network_with_more_to_it_has_no_twin(start_tensorflow: None) -> None:
    """What the twin does not know of would otherwise be left out in silence."""
    for name, options in (
        ("vit_tiny_patch16_224", {"depth": 1, "init_values": 1e-5}),
        ("vit_tiny_patch16_224", {"depth": 1, "class_token": False, "global_pool": "avg"}),
        ("resnet10t", {}),
    ):
        with refused("unsupported", "runtime", "tensorflow"):
            vit_in_keras(timm.create_model(name, **options), 224, "float32")
