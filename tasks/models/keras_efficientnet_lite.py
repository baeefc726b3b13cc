"""EfficientNet-Lite as a Keras model with the weights of the PyTorch network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.runtimes.session import Array

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the first block of each stage; all other blocks have 1."""


def efficientnet_lite_in_keras(network: Any, size: int, dtype: str) -> Any:
    """Return the ``keras.Model`` that computes what the network does, from [samples, size, size, 3] to logits.

    Parameters
    ----------
    network
        the EfficientNet-Lite as a ``torch.nn.Module``. Names and shapes of its tensors say how the layers follow each other.
    dtype
        Keras's name of the number format for weights and computation.
    """
    import keras

    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    # The package has no public names for its layers.
    layers = _Layers(state, float(network._bn0.eps), dtype)
    inputs = keras.Input((size, size, 3), dtype=dtype)
    outputs = layers.convolved(inputs, "_conv_stem", "_bn0", stride=2)
    stage, channels = -1, 0
    for number in range(len(network._blocks)):
        block = f"_blocks.{number}."
        widened = state[f"{block}_project_conv.weight"].shape[0]
        # Each stage has more channels than the one before, and only its first block may have a stride.
        starts = widened != channels
        stage, channels = stage + starts, widened
        outputs = layers.block(outputs, block, STRIDES[stage] if starts else 1)
    outputs = layers.convolved(outputs, "_conv_head", "_bn1")
    outputs = keras.layers.GlobalAveragePooling2D(dtype=dtype)(outputs)
    return keras.Model(inputs, layers.dense(outputs, "_fc"))


class _Layers:
    """Keras layers that take their weights from PyTorch's tensors by name."""

    def __init__(self, state: Mapping[str, Array], epsilon: float, dtype: str) -> None:
        import keras

        self._keras = keras.layers
        self._state = state
        self._epsilon = epsilon
        self._dtype = dtype

    def block(self, inputs: Any, name: str, stride: int) -> Any:
        """Widen, convolve each channel, narrow; and add the inputs where the shape is the same."""
        outputs = inputs
        if f"{name}_expand_conv.weight" in self._state:
            outputs = self.convolved(outputs, f"{name}_expand_conv", f"{name}_bn0")
        outputs = self.convolved(outputs, f"{name}_depthwise_conv", f"{name}_bn1", stride)
        outputs = self.convolved(outputs, f"{name}_project_conv", f"{name}_bn2", bounded=False)
        return self._keras.Add(dtype=self._dtype)([outputs, inputs]) if outputs.shape == inputs.shape else outputs

    def convolved(self, inputs: Any, name: str, norm: str, stride: int = 1, bounded: bool = True) -> Any:
        """Convolve, normalise by the stored means and deviations, and bound to 0 .. 6."""
        weight = self._state[f"{name}.weight"]
        options = {"strides": stride, "padding": "same", "use_bias": False, "dtype": self._dtype}
        # PyTorch orders kernels as output, input, height, width; each channel by itself has one input.
        if weight.shape[1] == 1:
            layer = self._keras.DepthwiseConv2D(weight.shape[2], **options)
            kernel = weight.transpose(2, 3, 0, 1)
        else:
            layer = self._keras.Conv2D(weight.shape[0], weight.shape[2], **options)
            kernel = weight.transpose(2, 3, 1, 0)
        outputs = layer(inputs)
        layer.set_weights([kernel])
        normalised = self._keras.BatchNormalization(epsilon=self._epsilon, dtype=self._dtype)
        outputs = normalised(outputs)
        normalised.set_weights([self._state[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
        return self._keras.ReLU(max_value=6.0, dtype=self._dtype)(outputs) if bounded else outputs

    def dense(self, inputs: Any, name: str) -> Any:
        """Weigh all inputs for each class."""
        weight = self._state[f"{name}.weight"]
        layer = self._keras.Dense(weight.shape[0], dtype=self._dtype)
        outputs = layer(inputs)
        layer.set_weights([weight.T, self._state[f"{name}.bias"]])
        return outputs
