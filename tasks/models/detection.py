"""A network that finds objects in pictures, loaded in any runtime. Shared by all families of detectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.contracts import LoadContext
from tasks.boxes import Size
from tasks.runtimes.session import Inputs, Session, open_session

if TYPE_CHECKING:
    from PIL.Image import Image

Prepare = Callable[[Sequence["Image"]], Inputs]
"""From RGB pictures to what the network takes."""
Read = Callable[[Any, Sequence[Size]], list[dict[str, Any]]]
"""From the network's outputs on the host, and the original pictures' sizes, to one prediction per picture."""


@dataclass(frozen=True)
class Batch:
    """What is on the device for some pictures, before or after inference, and the pictures' sizes, which boxes refer to."""

    sizes: list[Size]
    arrays: Any


class Detector:
    """A session between pictures and the boxes found in them."""

    def __init__(self, session: Session, prepare: Prepare, read: Read, facts: Mapping[str, Any] | None = None) -> None:
        self._session = session
        self._prepare = prepare
        self._read = read
        self.facts: Mapping[str, Any] = {**(facts or {}), **session.facts}

    def input_size(self, sample: Image) -> int:
        """Return the number of pixels of the picture as it is stored."""
        return sample.width * sample.height

    def preprocess(self, samples: Sequence[Image]) -> Batch:
        """Prepare the pictures and put them on the device."""
        return Batch([picture.size for picture in samples], self._session.upload(self._prepare(samples)))

    def infer(self, inputs: Batch) -> Batch:
        """Call the network."""
        return Batch(inputs.sizes, self._session.infer(inputs.arrays))

    def postprocess(self, outputs: Batch) -> list[dict[str, Any]]:
        """Return the boxes of each picture."""
        return self._read(self._session.download(outputs.arrays), outputs.sizes)


def load_detector(
    network: Any, prepare: Prepare, read: Read, example: Inputs, context: LoadContext, facts: Mapping[str, Any] | None = None
) -> Detector:
    """Open a session for a network.

    Parameters
    ----------
    network
        a ``torch.nn.Module`` with its weights, on the CPU in float32, whose forward returns a tensor or a tuple of tensors.
    example
        what ``prepare`` returns for a typical batch, for export and for comparison with eager execution.
    facts
        what the model itself has to say; the session's facts are added.

    Raises
    ------
    InputError
        where the runtime cannot execute the network.
    """
    return Detector(open_session(context, network, example), prepare, read, facts)
