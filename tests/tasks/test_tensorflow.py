import json
import subprocess
import sys
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from tasks.models.keras_classifier import KerasClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="tensorflow is not installed: run `pip install 'tail-quality[tensorflow]'`"),
]

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
def saved(model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
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
    form: str, batch: int, model: Any, saved: dict[str, Path], pictures: list[Image.Image], make_context: Any
) -> None:
    classifier = KerasClassifier(str(saved[form]), **OPTIONS)
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


def test_what_this_process_or_file_cannot_do_is_refused(saved: dict[str, Path], tmp_path: Path, make_context: Any) -> None:
    classifier = KerasClassifier(str(saved["keras"]), **OPTIONS)
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


def test_in_a_process_of_its_own_threads_are_what_the_trial_says(saved: dict[str, Path], tmp_path: Path) -> None:
    program = (
        "import json, sys, pathlib\n"
        "from orchestrator.contracts import LoadContext\n"
        "from tasks.models.keras_classifier import KerasClassifier\n"
        "context = LoadContext('tensorflow', 'fp32', True, False, 'cpu', 1, 1, pathlib.Path(sys.argv[2]))\n"
        "loaded = KerasClassifier(sys.argv[1], **json.loads(sys.argv[3])).load(context)\n"
        "names = [path.read_text().strip() for path in pathlib.Path('/proc/self/task').glob('*/comm')]\n"
        "print(json.dumps([dict(loaded.facts), names, 'torch' in sys.modules]))\n"
    )
    command = [sys.executable, "-c", program, str(saved["keras"]), str(tmp_path), json.dumps(OPTIONS)]
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
def test_what_does_not_fit_is_refused(form: str, key: str, value: int, of: str, saved: dict[str, Path], make_context: Any) -> None:
    with refused("conflict", of):
        KerasClassifier(str(saved[form]), **OPTIONS | {key: value}).load(make_context("tensorflow"))


def test_broken_files_are_refused(model: Any, tmp_path: Path, make_context: Any) -> None:
    import keras

    (tmp_path / "saved_model.pb").write_bytes(b"no graph")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("notes.txt", "an archive of something else")
    save(keras.Model(model.inputs, [model.outputs[0], model.outputs[0]]), tmp_path / "two.keras")
    for path, code in ((tmp_path, "damaged"), (tmp_path / "other.keras", "damaged"), (tmp_path / "two.keras", "unsupported")):
        with refused(code, "model.path", path):
            KerasClassifier(str(path), **OPTIONS).load(make_context("tensorflow"))
