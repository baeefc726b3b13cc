"""Any TensorFlow classifier of pictures from a file of your own: a Keras file or a SavedModel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.contracts import InputError, LoadContext, LoadedModel, first_line
from tasks.models.classifier import checked_classifier, random_pictures
from tasks.models.image_input import ImageInput, channels_last
from tasks.packages import TENSORFLOW, USER, Need
from tasks.runtimes.tensorflow_files import HOW_TO_SAVE, check_tensorflow_file, read_tensorflow_file, tensorflow_files
from tasks.runtimes.tensorflow_session import TensorFlowSession
from tasks.runtimes.tensorflow_settings import DISTRIBUTION, apply_settings, require_tensorflow

NEEDS = (
    Need("keras_classifier", DISTRIBUTION, "network", TENSORFLOW),
    Need("keras_classifier", "model.path", "weights", USER),
)


class KerasClassifier:
    """``path`` is a ``.keras`` file or a SavedModel's folder that turns [pictures, size, size, 3] into one number per class.

    ``mean`` and ``std`` are those of pixel values between 0 and 1. A SavedModel is a program: take one from nobody you do not trust.
    """

    def __init__(
        self,
        path: str | None,
        class_count: int,
        input_size: int = 224,
        resize_size: int = 256,
        interpolation: str = "bilinear",
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        self._path = Path(path).expanduser() if path else None
        self._class_count = class_count
        self._own_input = (input_size, resize_size, interpolation, tuple(mean), tuple(std))

    def check(self) -> None:
        """Raise InputError for a missing package, and for a path that holds no model of TensorFlow's."""
        require_tensorflow()
        check_tensorflow_file(self._file())
        ImageInput.of_fractions(*self._own_input)

    def files(self) -> Sequence[Path]:
        """Return the files with graph and weights."""
        return tensorflow_files(self._file())

    def load(self, context: LoadContext) -> LoadedModel:
        """Read the file and open a session."""
        self.check()
        path, image_input = self._file(), ImageInput.of_fractions(*self._own_input)
        if context.runtime != "tensorflow":
            raise InputError(
                f"runtime={context.runtime} cannot execute model.path={path}; set runtime=tensorflow",
                "unsupported",
                "runtime",
                context.runtime,
            )
        settings = apply_settings(context)
        call, weights = read_tensorflow_file(path)
        example = channels_last(random_pictures(image_input, context.batch))
        try:
            session = TensorFlowSession(context, call, weights, example, settings)
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"model.path={path} takes no float pictures of shape {list(example.shape)} ({first_line(error)}); set model.input_size and "
                "measurement.batch to what it was saved for",
                "conflict",
                "model.path",
                path,
            ) from error
        return checked_classifier(session, lambda pictures: channels_last(image_input.array(pictures)), example, self._class_count, {})

    def _file(self) -> Path:
        if self._path is None:
            raise InputError(
                f"model.path is empty; set it to a Keras file or a folder with a SavedModel ({HOW_TO_SAVE})", "missing", "model.path"
            )
        return self._path
