"""The network of ``scene_detector``: every 8 pixels it says which digit is there and where its edges are."""

from __future__ import annotations

from typing import Any

SIDE = 128
"""Pixels a side of the pictures that the network is trained on."""
STRIDE = 8
"""Pixels between places of the grid."""
PLACES = SIDE // STRIDE
"""Places along each side of these pictures."""
CLASSES = 10
WIDTH = 64


def build_network(side: int = SIDE) -> Any:
    """Return the network with random weights, which do not depend on the side.

    It takes grey pictures [n, 1, side, side] between 0 and 1 and returns scores [n, (side / 8)², 10] between 0 and 1 and corners
    [n, (side / 8)², 4]: left, top, right, bottom in pixels. Its part ``layers`` returns the numbers behind: [n, 14, side / 8, side / 8].
    """
    from torch import nn

    return _network_class()(nn.Sequential(*_layers(nn)), side // STRIDE)


def _layers(nn: Any) -> list[Any]:
    def block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> list[Any]:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

    return [
        *block(1, 16, stride=2),
        *block(16, 32, stride=2),
        *block(32, 32),
        *block(32, WIDTH, stride=2),
        *block(WIDTH, WIDTH),
        *block(WIDTH, WIDTH, dilation=2),
        *block(WIDTH, WIDTH),
        *block(WIDTH, WIDTH, dilation=2),
        nn.Conv2d(WIDTH, CLASSES + 4, 1),
    ]


def _network_class() -> Any:
    import torch
    from torch import nn

    class SceneNetwork(nn.Module):
        """Layers, and the reading of their answers as scores and corners."""

        def __init__(self, layers: Any, places_a_side: int) -> None:
            super().__init__()
            self.layers = layers
            centres = (torch.arange(places_a_side) + 0.5) * STRIDE
            y, x = torch.meshgrid(centres, centres, indexing="ij")
            places = torch.stack([x.flatten(), y.flatten()], dim=1)
            self.register_buffer("places", places, persistent=False)

        def forward(self, pictures: Any) -> tuple[Any, Any]:
            """Return scores and corners."""
            answers = self.layers(pictures).flatten(2).transpose(1, 2)
            scores = answers[..., :CLASSES].sigmoid()
            reach = answers[..., CLASSES:] * STRIDE
            corners = torch.cat([self.places - reach[..., :2], self.places + reach[..., 2:]], dim=2)
            return scores, corners

    return SceneNetwork
