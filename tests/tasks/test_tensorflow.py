from __future__ import annotations

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
from PIL import Image

from orchestrator.contracts import InputError, LoadContext, Model
from tasks.models.keras_classifier import KerasClassifier

needs_tensorflow = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="tensorflow is not installed: run `pip install 'tail-quality[tensorflow]'`"
)
pytestmark = needs_tensorflow

MakeContext = Callable[..., LoadContext]
SIZE = 24
OPTIONS: dict[str, Any] = {"class_count": 7, "input_size": SIZE, "resize_size": SIZE, "mean": [0.5] * 3, "std": [0.25] * 3}


@pytest.fixture(scope="module")
def start_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Start TensorFlow as a trial does; its threads are then those of this process for good."""
    from tasks.runtimes.tensorflow_settings import apply_settings

    apply_settings(LoadContext("tensorflow", "fp32", False, False, "cpu", 2, 1, tmp_path_factory.mktemp("cache")))


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


@pytest.mark.slow
@pytest.mark.parametrize("form", ["keras", "saved model"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_file_answers_as_the_model_that_was_saved(
    form: str, batch: int, model: Any, saved: dict[str, Path], pictures: list[Image.Image], make_context: MakeContext
) -> None:
    classifier = KerasClassifier(str(saved[form]), **OPTIONS)
    assert isinstance(classifier, Model)
    classifier.check()
    assert all(file.is_file() for file in classifier.files())
    loaded = classifier.load(make_context("tensorflow", batch=batch))
    expected = model((np.stack([np.asarray(picture) for picture in pictures]) / 255 - 0.5) / 0.25).numpy()
    for part in (slice(0, 2), slice(2, 3)):
        outputs = loaded.infer(loaded.preprocess(pictures[part]))
        np.testing.assert_allclose(outputs.numpy(), expected[part], atol=1e-5)
        assert loaded.postprocess(outputs) == np.argsort(-expected[part], axis=1)[:, :5].tolist()
    assert loaded.facts["threads"] == {"intra_op": 2}
    assert loaded.facts["inter_op_threads"] == 1
    assert loaded.facts["weights"] == ["float32"]
    assert loaded.facts["outputs_on"] == ["CPU:0"]
    assert (loaded.facts["xla"], loaded.facts["onednn"]) == ("off", True)
    assert loaded.facts["classes"] == 7


@pytest.mark.slow
def test_the_files_of_a_saved_model_are_its_graph_and_its_weights(saved: dict[str, Path]) -> None:
    names = [file.name for file in KerasClassifier(str(saved["saved model"]), **OPTIONS).files()]
    assert names[0] == "saved_model.pb"
    assert any(name.startswith("variables.data") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [True, False])
def test_determinism_and_autotune_are_set_both_ways(wanted: bool, saved: dict[str, Path], make_context: MakeContext) -> None:
    context = make_context("tensorflow", deterministic=wanted, autotune=wanted)
    facts = KerasClassifier(str(saved["keras"]), **OPTIONS).load(context).facts
    assert facts["deterministic"] is facts["autotune"] is wanted


@pytest.mark.slow
def test_another_number_of_threads_needs_another_process(saved: dict[str, Path], make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"system\.threads=1: TensorFlow runs in this process already, with 2 threads"):
        KerasClassifier(str(saved["keras"]), **OPTIONS).load(make_context("tensorflow", threads=1))


@pytest.mark.slow
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
    assert facts["threads"] == {"intra_op": 1}
    assert facts["deterministic"] is True
    assert not torch_loaded
    assert names.count("tf_Compute") <= 1, "more threads compute than TensorFlow was given"
    assert (tmp_path / "keras").is_dir(), "Keras wrote its defaults elsewhere"


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_told(saved: dict[str, Path], make_context: MakeContext) -> None:
    import tensorflow

    if tensorflow.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match=r"system\.device=cuda:0: TensorFlow .* finds no GPU here"):
        KerasClassifier(str(saved["keras"]), **OPTIONS).load(make_context("tensorflow", device="cuda:0"))


@pytest.mark.slow
def test_a_stored_model_keeps_its_dtype(saved: dict[str, Path], tmp_path: Path, make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"runtime\.dtype=fp16: the model's weights are stored in float32; set runtime\.dtype=fp32"):
        KerasClassifier(str(saved["keras"]), **OPTIONS).load(make_context("tensorflow", dtype="fp16"))
    save(build(dtype="bfloat16"), tmp_path / "short.keras")
    model = KerasClassifier(str(tmp_path / "short.keras"), **OPTIONS)
    assert model.load(make_context("tensorflow", dtype="bf16")).facts["weights"] == ["bfloat16"]
    with pytest.raises(InputError, match=r"stored in bfloat16; set runtime\.dtype=bf16"):
        model.load(make_context("tensorflow"))


@pytest.mark.slow
def test_code_inside_a_keras_file_is_not_run(
    start_tensorflow: None, tmp_path: Path, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    monkeypatch.chdir(tmp_path)
    trap = build(keras.layers.Lambda(lambda inputs: (__import__("pathlib").Path("sprung").touch(), inputs)[1]))
    assert (tmp_path / "sprung").exists(), "the trap does not work"
    save(trap, tmp_path / "trap.keras")
    (tmp_path / "sprung").unlink()
    with pytest.raises(InputError, match=r"trap\.keras cannot be read by TensorFlow \(.+\)") as caught:
        KerasClassifier(str(tmp_path / "trap.keras"), **OPTIONS).load(make_context("tensorflow"))
    assert not (tmp_path / "sprung").exists()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_count": 10}, r"model\.classes=10, but the network answers in shape \(1, 7\)"),
        ({"input_size": 16}, r"takes no float pictures of shape \[1, 16, 16, 3\] \(.+\); set model\.input_size"),
    ],
)
@pytest.mark.parametrize("form", ["keras", "saved model"])
def test_what_does_not_fit_is_one_line(
    form: str, options: dict[str, Any], words: str, saved: dict[str, Path], make_context: MakeContext
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        KerasClassifier(str(saved[form]), **OPTIONS | options).load(make_context("tensorflow"))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_broken_files_are_one_line(start_tensorflow: None, tmp_path: Path, make_context: MakeContext) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no graph")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("notes.txt", "an archive of something else")
    for path in (tmp_path, tmp_path / "other.keras"):
        with pytest.raises(InputError, match=r"cannot be read by TensorFlow \(.+\); save one with") as caught:
            KerasClassifier(str(path), **OPTIONS).load(make_context("tensorflow"))
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_model_with_two_outputs_is_refused(model: Any, tmp_path: Path, make_context: MakeContext) -> None:
    import keras

    save(keras.Model(model.inputs, [model.outputs[0], model.outputs[0]]), tmp_path / "two.keras")
    with pytest.raises(InputError, match=r"two\.keras takes .+ and returns .+, .+ instead of one tensor each; save one with"):
        KerasClassifier(str(tmp_path / "two.keras"), **OPTIONS).load(make_context("tensorflow"))


@pytest.mark.slow
def test_another_runtime_cannot_execute_it(saved: dict[str, Path], make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"runtime=torch cannot execute model\.path=.*; set runtime=tensorflow"):
        KerasClassifier(str(saved["keras"]), **OPTIONS).load(make_context("torch"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (None, None, r"model\.path is empty; set it to a Keras file or a folder with a SavedModel"),
        ("nowhere.keras", None, r"nowhere\.keras is neither a file nor a folder"),
        ("folder", None, r"folder is no SavedModel: there is no saved_model\.pb in it"),
        ("model.h5", b"\x89HDF", r"model\.h5 must end with \.keras or be a folder with a SavedModel"),
        ("text.keras", b"no archive", r"text\.keras is no Keras file, which would be an archive"),
    ],
)
def test_what_is_wrong_without_tensorflow_is_found_by_check(name: str | None, content: bytes | None, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    if name and content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        KerasClassifier(str(tmp_path / name) if name else None, **OPTIONS).check()
    assert "\n" not in str(caught.value)


def test_checking_a_file_does_not_import_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    program = (
        "import sys\n"
        "from tasks.models.keras_classifier import KerasClassifier\n"
        f"model = KerasClassifier({str(tmp_path)!r}, 10)\n"
        "model.check()\n"
        "assert model.files()\n"
        "print(' '.join({name.partition('.')[0] for name in sys.modules}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "torch"} & set(ran.stdout.split())
