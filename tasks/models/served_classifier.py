"""A classifier of pictures that a server runs: pictures are prepared here, and classes are read from its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel, Reply, ServerFault
from tasks.models.classifier import Classifier
from tasks.models.image_input import ImageInput, channels_last
from tasks.runtimes.asking import open_asking
from tasks.runtimes.session import Array

if TYPE_CHECKING:
    from PIL.Image import Image

LAYOUTS = ("NCHW", "NHWC")


class ServedClassifier:
    """``request`` holds what the runtime is to be told: under ``open_inference`` the model's name on the server, its inputs and outputs.

    The other keys say how pictures are prepared, as those of the classifiers in this process do; ``layout`` is the order of the axes.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        input_size: int = 224,
        resize_size: int = 256,
        interpolation: str = "bilinear",
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        layout: str = "NCHW",
    ) -> None:
        self._request = dict(request)
        self._own_input = (input_size, resize_size, interpolation, tuple(mean), tuple(std))
        self._layout = layout

    def check(self) -> None:
        """Raise InputError for keys that do not fit together."""
        if self._layout not in LAYOUTS:
            raise InputError(
                f"model.layout={self._layout} must be one of: {', '.join(LAYOUTS)}; correct it", "unknown", "model.layout", self._layout
            )
        ImageInput.of_fractions(*self._own_input)

    def files(self) -> Sequence[Path]:
        """Return no file: the weights are the server's."""
        return ()

    def load(self, context: LoadContext) -> LoadedModel:
        """Open a session with the server."""
        session = open_asking(context, self._request)
        session.download = of_scores(session.download)
        image_input = ImageInput.of_fractions(*self._own_input)
        return Classifier(session, self._prepare(image_input), session.facts)

    def _prepare(self, image_input: ImageInput) -> Any:
        def last(pictures: Sequence[Image]) -> Array:
            return channels_last(image_input.array(pictures))

        return image_input.array if self._layout == "NCHW" else last


def of_scores(download: Callable[[Reply], Any]) -> Callable[[Reply], Array]:
    """Return how scores are read, [samples, classes]. The function raises ServerFault for an answer that holds none."""

    def scores_of(reply: Reply) -> Array:
        found = download(reply)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
            raise ServerFault("the answer must be one output of numbers, the scores of the classes; name it in model.request.outputs")
        if found.ndim != 2:
            raise ServerFault(f"the scores must have the shape [samples, classes], and the answer has {list(found.shape)}")
        if np.isnan(found).any():
            raise ServerFault("the server answered NaN, which is no score")
        return found

    return scores_of
