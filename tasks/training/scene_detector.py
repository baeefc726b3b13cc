"""``python -m tasks.training.scene_detector``: train the detector of digit scenes and write its weights.

It sees training digits alone, none of which the task shows. Two cores take under five minutes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from tasks.mnist_digits import digits
from tasks.models.scene_detector import WEIGHTS
from tasks.models.scene_network import CLASSES, PLACES, STRIDE, build_network
from tasks.scene_layout import Scene, draw_scene
from tasks.training.scene_targets import targets

BATCH = 32
STEPS = 1200
HIGHEST_RATE = 4e-3
RARE = 0.01
"""Share of scores that are expected to be a digit's at first (Lin et al., "Focal Loss", arXiv 1708.02002, section 4.1)."""
FIRST_REACH = 2.0
"""Strides from a place to each edge of its box at first."""


def main() -> int:
    """Train and write the weights. Progress goes to stderr, the file's name to stdout."""
    parser = argparse.ArgumentParser(prog="python -m tasks.training.scene_detector", description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write (default: the weights of the program)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"batches of {BATCH} scenes (default: {STEPS})")
    parser.add_argument("--threads", type=int, default=2, help="threads that compute (default: 2)")
    chosen = parser.parse_args()
    network = train(chosen.steps, chosen.threads)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    resolve_name("safetensors.torch:save_file")(tensors, chosen.out)
    sys.stdout.write(f"{chosen.out}\n")
    return 0


def train(steps: int, threads: int) -> Any:
    """Return the network trained on so many batches of fresh scenes."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = build_network().to(memory_format=torch.channels_last)
    with torch.no_grad():
        network.layers[-1].bias[:CLASSES] = math.log(RARE / (1 - RARE))
        network.layers[-1].bias[CLASSES:] = FIRST_REACH
    optimizer = torch.optim.AdamW(network.parameters(), lr=HIGHEST_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps, pct_start=0.2)
    network.train()
    started, recent = time.monotonic(), 0.0
    for step, (pictures, wanted) in enumerate(batches(steps), 1):
        loss = loss_of(network, pictures, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent = loss.item() if step == 1 else 0.95 * recent + 0.05 * loss.item()
        if step % 50 == 0:
            sys.stderr.write(f"step {step} of {steps}, loss {recent:.3f}, {time.monotonic() - started:.0f} s\n")
    return network.eval()


def batches(steps: int) -> Iterator[tuple[Any, tuple[Any, Any, Any]]]:
    """Yield pictures [n, 1, 128, 128] between 0 and 1, and what is wanted of them, see ``targets``."""
    import torch

    known = digits("training")
    for step in range(steps):
        scenes: list[Scene] = [draw_scene(f"training {step} {number}", known) for number in range(BATCH)]
        pictures = np.stack([scene.pixels for scene in scenes])[:, None].astype(np.float32) / 255
        holds, classes, corners = (torch.from_numpy(np.stack(part)) for part in zip(*(targets(scene) for scene in scenes), strict=True))
        yield torch.from_numpy(pictures), (holds, classes, corners)


def loss_of(network: Any, pictures: Any, wanted: tuple[Any, Any, Any]) -> Any:
    """Return focal loss of the scores (arXiv 1708.02002, equation 5, gamma 2) plus 1 - GIoU of the boxes (arXiv 1902.09630).

    Both are divided by the number of places that hold a digit.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    holds, classes, corners = wanted
    answers = network.layers(pictures).flatten(2).transpose(1, 2)
    logits, reach = answers[..., :CLASSES], answers[..., CLASSES:][holds] * STRIDE
    places = network.places.expand(len(pictures), PLACES**2, 2)[holds]
    found = torch.cat([places - reach[:, :2], places + reach[:, 2:]], dim=1)
    surprise = binary_cross_entropy_with_logits(logits, classes, reduction="none")
    wrong = (classes - logits.sigmoid()).abs()
    focal = (wrong**2 * surprise).sum()
    overlap = resolve_name("torchvision.ops:generalized_box_iou_loss")(found, corners[holds], reduction="sum")
    return (focal + overlap) / holds.sum().clamp(min=1)


if __name__ == "__main__":
    sys.exit(main())
