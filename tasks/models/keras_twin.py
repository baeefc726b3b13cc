"""A PyTorch classifier's twin in Keras, with the same weights, so that two frameworks run the same model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.contracts import LoadContext
from tasks.models.classifier import Classifier, checked_classifier, random_pictures
from tasks.models.image_input import ImageInput, channels_last
from tasks.runtimes.comparison import Cases, eager_cases, largest_difference
from tasks.runtimes.session import map_arrays
from tasks.runtimes.tensorflow_session import TensorFlowSession
from tasks.runtimes.tensorflow_settings import apply_settings, require_tensorflow
from tasks.runtimes.torch_settings import DTYPES
from tasks.runtimes.torch_settings import apply_settings as apply_torch_settings

Build = Callable[[Any, int, str], Any]
"""From the network, the side of its pictures in pixels and Keras's name of the number format to a ``keras.Model`` of the same answers."""


def load_in_keras(build: Build, network: Any, image_input: ImageInput, class_count: int, context: LoadContext) -> Classifier:
    """Open a session for the network's twin in Keras, compared with the network itself.

    Parameters
    ----------
    build
        makes the twin, which takes [samples, size, size, 3].
    network
        a ``torch.nn.Module`` with its weights, on the CPU in float32.
    """
    require_tensorflow()
    # The comparison runs PyTorch in this process, within the trial's threads.
    apply_torch_settings(context)
    eager = eager_cases(network.eval(), random_pictures(image_input, context.batch), smaller=True)
    cases: Cases = [(map_arrays(channels_last, inputs), answers) for inputs, answers in eager]
    example = channels_last(random_pictures(image_input, context.batch))
    settings = apply_settings(context)
    twin = build(network, image_input.crop_size, DTYPES[context.dtype])
    session = TensorFlowSession(context, lambda inputs: twin(inputs, training=False), twin.weights, example, settings)
    facts = largest_difference(session, cases, context)
    return checked_classifier(session, lambda pictures: channels_last(image_input.array(pictures)), example, class_count, facts)
