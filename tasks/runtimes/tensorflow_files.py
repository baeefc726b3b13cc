"""TensorFlow models from files: a Keras file, or a folder with a SavedModel."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, first_line

GRAPH = "saved_model.pb"
KERAS = ".keras"
SIGNATURE = "serving_default"
HOW_TO_SAVE = f"save one with model.save('NAME{KERAS}') or model.export('FOLDER')"


def check_tensorflow_file(path: Path) -> None:
    """Raise InputError for what is neither a Keras file nor a SavedModel's folder, as far as can be told without TensorFlow."""
    if path.is_dir():
        if not (path / GRAPH).is_file():
            raise InputError(
                f"model.path={path} is no SavedModel: there is no {GRAPH} in it; {HOW_TO_SAVE}", "not_found", "model.path", path
            )
    elif not path.is_file():
        raise InputError(f"model.path={path} is neither a file nor a folder; {HOW_TO_SAVE}", "not_found", "model.path", path)
    elif path.suffix != KERAS:
        raise InputError(
            f"model.path={path} must end with {KERAS} or be a folder with a SavedModel; {HOW_TO_SAVE}", "unsupported", "model.path", path
        )
    elif not zipfile.is_zipfile(path):
        raise InputError(f"model.path={path} is no Keras file, which would be an archive; {HOW_TO_SAVE}", "damaged", "model.path", path)


def tensorflow_files(path: Path) -> Sequence[Path]:
    """Return the file, or the files of a SavedModel that decide what it computes."""
    if not path.is_dir():
        return (path,)
    parts = [file for part in ("variables", "assets") for file in (path / part).rglob("*") if file.is_file()]
    return (path / GRAPH, *sorted(parts))


def read_tensorflow_file(path: Path) -> tuple[Callable[[Any], Any], Sequence[Any]]:
    """Return the model as a function of one tensor, and its variables. TensorFlow's settings must have been applied.

    Raises
    ------
    InputError
        for a broken file, a Keras file that carries code, and a SavedModel whose signature does not turn one tensor into one.
    """
    check_tensorflow_file(path)
    try:
        return _saved_model(path) if path.is_dir() else _keras_model(path)
    except InputError:
        raise
    except Exception as error:  # a broken file makes its readers raise almost anything
        raise InputError(
            f"model.path={path} cannot be read by TensorFlow ({first_line(error)}); {HOW_TO_SAVE}", "damaged", "model.path", path
        ) from error


def _keras_model(path: Path) -> tuple[Callable[[Any], Any], Sequence[Any]]:
    import keras

    # Safe mode refuses layers that carry Python code of their own.
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    _check_ends(path, [tensor.name for tensor in model.inputs], [tensor.name for tensor in model.outputs])

    def call(inputs: Any) -> Any:
        # Keras itself runs pictures of another size through any network whose layers happen to take them.
        if not inputs.shape.is_compatible_with(model.inputs[0].shape):
            raise ValueError(f"it was saved for {list(model.inputs[0].shape)}")
        return model(inputs, training=False)

    return call, model.weights


def _saved_model(path: Path) -> tuple[Callable[[Any], Any], Sequence[Any]]:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    if SIGNATURE not in loaded.signatures:
        known = ", ".join(loaded.signatures) or "none"
        raise InputError(
            f"model.path={path} has no signature {SIGNATURE} (it has: {known}); {HOW_TO_SAVE}", "unsupported", "model.path", path
        )
    signature = loaded.signatures[SIGNATURE]
    names, outputs = list(signature.structured_input_signature[1]), list(signature.structured_outputs)
    _check_ends(path, names, outputs)

    def call(inputs: Any) -> Any:
        # `loaded` must outlive its signature, which does not hold the variables.
        assert loaded is not None
        return signature(**{names[0]: inputs})[outputs[0]]

    return call, list(signature.variables)


def _check_ends(path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"model.path={path} takes {', '.join(inputs)} and returns {', '.join(outputs)} instead of one tensor each; {HOW_TO_SAVE}",
            "unsupported",
            "model.path",
            path,
        )
