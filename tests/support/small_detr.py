"""A small DETR of random weights, and small pictures for it."""

from pathlib import Path
from typing import Any

import numpy as np
from lazily import Lazily
from PIL import Image

torch = Lazily("torch")

SMALL: dict[str, Any] = {"shortest": 64, "longest": 120}


def small_pictures() -> list[Image.Image]:
    chance = np.random.default_rng(0)
    coarse = [chance.integers(0, 256, shape, dtype=np.uint8) for shape in ((6, 8, 3), (9, 5, 3))]
    return [
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC) for pixels, size in zip(coarse, ((160, 120), (90, 180)), strict=True)
    ]


def save_checkpoint(folder: Path, backbone: dict[str, Any], decoder_layers: int = 2) -> Path:
    """Write a DETR of random weights, its classes the 91 of the published checkpoints."""
    from transformers import DetrConfig, DetrForObjectDetection

    torch.manual_seed(0)
    config = DetrConfig(
        **backbone, d_model=32, encoder_layers=1, decoder_layers=decoder_layers, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=20, num_labels=91,
    )  # fmt: skip
    network = DetrForObjectDetection(config)
    # The usual random weights answer alike for every query; wider ones tell them apart.
    for part, std in ((network.model.decoder, 0.5), (network.bbox_predictor, 0.3), (network.class_labels_classifier, 1.0)):
        for layer in part.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=std)
    torch.nn.init.normal_(network.model.query_position_embeddings.weight, std=1.0)
    network.save_pretrained(folder)
    return folder
