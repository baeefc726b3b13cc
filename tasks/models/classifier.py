"""A torch network that classifies pictures, loaded in any runtime. Shared by all families of such models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext
from tasks.models.image_input import ImageInput
from tasks.runtimes.session import Array, Session, open_session

if TYPE_CHECKING:
    from PIL.Image import Image

ANSWERS = 5


class Classifier:
    """A session between pictures and the five likeliest classes; ``prepare`` turns pictures into the array that it takes."""

    def __init__(self, session: Session, prepare: Callable[[Sequence[Any]], Array], facts: Mapping[str, Any]) -> None:
        self._upload = session.upload
        self._download = session.download
        self._prepare = prepare
        # Bound here, so that the inference clock sees the session's own method and no call around it.
        self.infer: Callable[..., Any] = session.infer
        self.facts = facts

    def input_size(self, sample: Image) -> int:
        """Return the number of pixels of the picture as it is stored."""
        return sample.width * sample.height

    def preprocess(self, samples: Sequence[Image]) -> Any:
        """Resize, crop and normalise, and put the batch on the device."""
        return self._upload(self._prepare(samples))

    def postprocess(self, outputs: Any) -> list[list[int]]:
        """Return the five likeliest classes of each sample."""
        return likeliest(self._download(outputs))


def likeliest(logits: np.ndarray[Any, np.dtype[np.float32]], answers: int = ANSWERS) -> list[list[int]]:
    """Return the class indices of the largest logits per sample, the largest first; of equal ones the lower index first.

    Parameters
    ----------
    logits
        shape [samples, classes].
    answers
        how many indices per sample.

    Raises
    ------
    ArithmeticError
        for NaN, which has no place in any order.
    """
    if np.isnan(logits).any():
        raise ArithmeticError("the network answered NaN")
    order: list[list[int]] = np.argsort(-logits, axis=1, kind="stable")[:, :answers].tolist()
    return order


def load_classifier(
    network: Any, image_input: ImageInput, class_count: int, context: LoadContext, facts: Mapping[str, Any] | None = None
) -> Classifier:
    """Open a session for a network that turns [samples, 3, size, size] into logits [samples, classes].

    Parameters
    ----------
    network
        a ``torch.nn.Module`` with its weights, on the CPU in float32.
    class_count
        how many classes the network must have.
    facts
        what the model itself has to say; the session's facts are added.

    Raises
    ------
    InputError
        where the network has another number of classes, or the runtime cannot execute it.
    """
    example = random_pictures(image_input, context.batch)
    return checked_classifier(open_session(context, network, example), image_input.array, example, class_count, facts or {})


def random_pictures(image_input: ImageInput, count: int) -> Array:
    """Return numbers like those of normalised pictures, [count, 3, size, size]."""
    shape = (count, 3, image_input.crop_size, image_input.crop_size)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def checked_classifier(
    session: Session, prepare: Callable[[Sequence[Image]], Array], example: Array, class_count: int, facts: Mapping[str, Any]
) -> Classifier:
    """Return the classifier of an open session. Raises InputError where it answers for another number of classes."""
    logits = session.download(session.infer(session.upload(example)))
    if logits.shape != (len(example), class_count):
        raise InputError(
            f"model.classes={class_count}, but the network answers in shape {logits.shape}; set it to the network's",
            "conflict",
            "model.classes",
            class_count,
        )
    return Classifier(session, prepare, {**facts, **session.facts, "classes": logits.shape[1]})
