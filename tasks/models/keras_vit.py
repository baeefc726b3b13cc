"""A vision transformer (Dosovitskiy et al., arXiv 2010.11929) as a Keras model with the weights of timm's network."""

from __future__ import annotations

from typing import Any

from orchestrator.contracts import InputError


def vit_in_keras(network: Any, size: int, dtype: str) -> Any:
    """Return the ``keras.Model`` that computes what the network does, from [samples, size, size, 3] to logits.

    Parameters
    ----------
    network
        timm's ``VisionTransformer``: patches, a class token, blocks of attention and GELU, the class token's logits.
    dtype
        Keras's name of the number format for weights and computation.

    Raises
    ------
    InputError
        for a network that has more to it.
    """
    import keras

    layers = _Layers(network, dtype)
    inputs = keras.Input((size, size, 3), dtype=dtype)
    tokens = layers.embedded(inputs)
    for number in range(len(network.blocks)):
        block = f"blocks.{number}"
        tokens = tokens + layers.attention(layers.normed(tokens, f"{block}.norm1"), f"{block}.attn")
        widened = keras.ops.gelu(layers.dense(layers.normed(tokens, f"{block}.norm2"), f"{block}.mlp.fc1"), approximate=False)
        tokens = tokens + layers.dense(widened, f"{block}.mlp.fc2")
    outputs = layers.dense(layers.normed(tokens, "norm")[:, 0], "head")
    layers.check_all_taken()
    return keras.Model(inputs, outputs)


class _Layers:
    """Keras layers that take their weights from PyTorch's tensors by name, each once."""

    def __init__(self, network: Any, dtype: str) -> None:
        import keras

        if type(network).__name__ != "VisionTransformer" or not hasattr(network.blocks[0], "attn"):
            raise InputError(
                f"runtime=tensorflow: {type(network).__name__} is no plain vision transformer; choose runtime=torch",
                "unsupported",
                "runtime",
                "tensorflow",
            )
        self._keras = keras
        self._left = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        self._heads = int(network.blocks[0].attn.num_heads)
        self._epsilon = float(network.blocks[0].norm1.eps)
        self._dtype = dtype

    def embedded(self, inputs: Any) -> Any:
        """Turn pictures into tokens, the class token before those of the patches, and add their places."""
        kernel, bias = self._weights("patch_embed.proj")
        width, side = kernel.shape[0], kernel.shape[2]
        projection = self._keras.layers.Conv2D(width, side, strides=side, dtype=self._dtype)
        patches = projection(inputs)
        # PyTorch orders kernels as output, input, height, width.
        projection.set_weights([kernel.transpose(2, 3, 1, 0), bias])
        patches = self._keras.layers.Reshape((-1, width), dtype=self._dtype)(patches)
        places = self._taken("pos_embed")
        first = self._taken("cls_token") + places[:, :1]
        rest = patches + self._keras.ops.convert_to_tensor(places[:, 1:], self._dtype)
        # A zero of each picture, so that the class token has as many rows as there are pictures.
        return self._keras.ops.concatenate([patches[:, :1] * 0 + self._keras.ops.convert_to_tensor(first, self._dtype), rest], axis=1)

    def attention(self, inputs: Any, name: str) -> Any:
        """Let every token attend to all, in heads of equal width."""
        kernel, bias = self._weights(f"{name}.qkv")
        last, last_bias = self._weights(f"{name}.proj")
        width, heads = last.shape[0], self._heads
        layer = self._keras.layers.MultiHeadAttention(heads, width // heads, dtype=self._dtype)
        outputs = layer(inputs, inputs)
        # Query, key and value follow one another in PyTorch's rows, and the heads within each.
        kernels = kernel.T.reshape(width, 3, heads, -1)
        biases = bias.reshape(3, heads, -1)
        parts = [array for part in range(3) for array in (kernels[:, part], biases[part])]
        layer.set_weights([*parts, last.T.reshape(heads, -1, width), last_bias])
        return outputs

    def normed(self, inputs: Any, name: str) -> Any:
        """Normalise each token."""
        layer = self._keras.layers.LayerNormalization(epsilon=self._epsilon, dtype=self._dtype)
        outputs = layer(inputs)
        layer.set_weights(self._weights(name))
        return outputs

    def dense(self, inputs: Any, name: str) -> Any:
        """Weigh all inputs of a token for each output."""
        kernel, bias = self._weights(name)
        layer = self._keras.layers.Dense(kernel.shape[0], dtype=self._dtype)
        outputs = layer(inputs)
        layer.set_weights([kernel.T, bias])
        return outputs

    def check_all_taken(self) -> None:
        """Raise InputError for a tensor that no layer has taken: the network computes more than the twin."""
        if self._left:
            raise InputError(
                f"runtime=tensorflow: the network also has {next(iter(self._left))}, which its twin in Keras lacks; choose runtime=torch",
                "unsupported",
                "runtime",
                "tensorflow",
            )

    def _weights(self, name: str) -> list[Any]:
        return [self._taken(f"{name}.weight"), self._taken(f"{name}.bias")]

    def _taken(self, name: str) -> Any:
        if name not in self._left:
            raise InputError(
                f"runtime=tensorflow: the network has no {name}, which its twin in Keras needs; choose runtime=torch",
                "unsupported",
                "runtime",
                "tensorflow",
            )
        return self._left.pop(name)
