"""Do the study's vision models run at their published size, and answer as their own libraries do?

    python benchmarks/paper_models.py [MODEL...] [--directory DIR]

Each model is made with random weights in the form in which it is published, measured for one round through the command line, and asked
once more in this process beside its library's own pipeline: timm's transform and network, transformers' processor (by PIL) and network.
Models: vit_l_32_384 (one batch of 4 photographs), detr_resnet101 (one of 2 pictures of 640 x 480 and 480 x 640 pixels) and
detr_resnet101_dc5 (the first of these), with the batch of the study for DETR. They run one after another; each takes up to 5 GiB of
memory and 1.3 GB of disk.

weights: as many as published.
answers: every one of the round has a time.
logits: within 1e-5 of the library's, and spread by more than that.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

import orchestrator
from orchestrator.contracts import LoadContext
from tasks.imagenet_samples import ImageNetSamples
from tasks.models.detr import Detr
from tasks.models.timm_classifier import TimmClassifier

WITHIN = 1e-5
CONF = Path(__file__).parents[1] / "conf" / "model"
PICTURES = 4
# Without the four numbers a channel of its backbone's frozen normalisation, which are no weights of
# the network.
DETR_WEIGHTS = 60_464_672
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Compared:
    """Logits of this program and of a model's own library for the same pictures, and how many weights the network has."""

    ours: Floats
    theirs: Floats
    weights: int


@dataclass(frozen=True)
class Case:
    """A model at its published size.

    make
        writes its checkpoint and what else the round needs into a folder, and returns the words of the command line.
    compare
        asks both for the same pictures.
    """

    weights: int
    batch: int
    make: Callable[[Path], list[str]]
    compare: Callable[[Path, LoadContext], Compared]


def make_vit(folder: Path) -> list[str]:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model(OmegaConf.load(CONF / "vit_l_32_384.yaml").architecture, num_classes=1000)
    torch.nn.init.normal_(network.head.weight, std=0.02)  # it is zero in a new network
    save_file(network.state_dict(), folder / "vit.safetensors")
    return ["model=vit_l_32_384", f"model.path={folder / 'vit.safetensors'}", "task=imagenet_samples", f"task.limit={PICTURES}"]


def compare_vit(folder: Path, context: LoadContext) -> Compared:
    import timm
    import torch
    from safetensors.torch import load_file
    from timm.data import create_transform, resolve_data_config

    task = ImageNetSamples()
    pictures = [task.decode(sample.read()) for sample in task.samples()[:PICTURES]]
    architecture = OmegaConf.load(CONF / "vit_l_32_384.yaml").architecture
    loaded = TimmClassifier(architecture, 1000, path=str(folder / "vit.safetensors")).load(context)
    ours = np.asarray(loaded.infer(loaded.preprocess(pictures)))
    network = timm.create_model(architecture, num_classes=1000).eval()
    network.load_state_dict(load_file(folder / "vit.safetensors"))
    transform = create_transform(**resolve_data_config(model=network), is_training=False)
    with torch.inference_mode():
        theirs = network(torch.stack([transform(picture) for picture in pictures])).numpy()
    return Compared(ours, theirs, sum(weight.numel() for weight in network.parameters()))


def detr_pictures(count: int) -> list[Image.Image]:
    """Return up to one picture of each of COCO's commonest shapes, of coarse patches of colour."""
    chance = np.random.default_rng(0)
    sizes = ((640, 480), (480, 640))[:count]
    coarse = [chance.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8) for width, height in sizes]
    return [Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC) for pixels, size in zip(coarse, sizes, strict=True)]


def make_detr(folder: Path, name: str, batch: int, dilation: bool) -> list[str]:
    """Write a checkpoint of the form of facebook/detr-resnet-101 and -dc5: backbone by timm, the rest as transformers has it by default."""
    import torch
    from transformers import DetrConfig, DetrForObjectDetection

    torch.manual_seed(0)
    config = DetrConfig(use_timm_backbone=True, backbone="resnet101", use_pretrained_backbone=False, dilation=dilation, num_labels=91)
    network = DetrForObjectDetection(config)
    torch.nn.init.normal_(network.model.query_position_embeddings.weight)  # zero would give every query the same answer
    torch.nn.init.normal_(network.class_labels_classifier.weight, std=0.1)
    network.save_pretrained(folder / "detr")
    data = folder / "data"
    data.mkdir()
    pictures = detr_pictures(batch)
    for number, picture in enumerate(pictures):
        picture.save(data / f"{number}.png")
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": p.width, "height": p.height} for n, p in enumerate(pictures)],
        "annotations": [{"id": n, "image_id": n, "category_id": 18, "bbox": [9, 9, 40, 50]} for n in range(len(pictures))],
        "categories": [{"id": 18, "name": "dog"}],
    }
    (data / "instances.json").write_text(json.dumps(document))
    return [f"model={name}", f"model.path={folder / 'detr'}", "task=coco", f"task.root={data}"]


def compare_detr(folder: Path, context: LoadContext) -> Compared:
    import torch
    from transformers import DetrForObjectDetection, DetrImageProcessorPil

    loaded = Detr(path=str(folder / "detr")).load(context)
    network = DetrForObjectDetection.from_pretrained(folder / "detr").eval()
    processor = DetrImageProcessorPil(size={"shortest_edge": 800, "longest_edge": 1333})
    pictures = detr_pictures(context.batch)
    ours = np.asarray(loaded.infer(loaded.preprocess(pictures)).arrays[0])
    with torch.inference_mode():
        theirs = network(**processor(pictures, return_tensors="pt")).logits.numpy()
    return Compared(ours, theirs, sum(weight.numel() for weight in network.parameters()))


CASES = {
    "vit_l_32_384": Case(306_632_680, PICTURES, make_vit, compare_vit),
    "detr_resnet101": Case(DETR_WEIGHTS, 2, partial(make_detr, name="detr_resnet101", batch=2, dilation=False), compare_detr),
    "detr_resnet101_dc5": Case(DETR_WEIGHTS, 1, partial(make_detr, name="detr_resnet101_dc5", batch=1, dilation=True), compare_detr),
}


def one_round(words: Sequence[str], batch: int, results: Path) -> None:
    """Measure one round through the command line."""
    fixed = ["cluster=inline", "measurement.rule=rounds", "measurement.min_rounds=1", "measurement.max_rounds=1"]
    fixed += ["measurement.warmup_rounds=1", "measurement.lead_in=0", f"measurement.batch={batch}", f"results_dir={results}"]
    done = subprocess.run([sys.executable, "-m", "orchestrator", *words, *fixed], check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}")


def judged(name: str, folder: Path) -> bool:
    """Make a model, measure it, compare it; print what was found and return whether it holds."""
    case = CASES[name]
    load, began = os.getloadavg()[0], time.monotonic()
    one_round(case.make(folder), case.batch, folder / "results")
    [trial] = orchestrator.open(folder / "results").trials().to_pylist()
    timings: list[dict[str, Any]] = orchestrator.open(folder / "results").timings(trial["trial"]).to_pylist()
    answered = all(row["outcome"] == "ok" and row["inference_ns"] > 0 for row in timings) and bool(timings)
    threads = len(os.sched_getaffinity(0))
    context = LoadContext(
        runtime="torch",
        dtype="fp32",
        deterministic=False,
        autotune=False,
        device="cpu",
        threads=threads,
        batch=case.batch,
        cache_dir=folder,
    )
    found = case.compare(folder, context)
    difference = float(np.abs(found.ours - found.theirs).max())
    print(
        f"{name}: {found.weights:,} weights; {len(timings)} of {len(timings)} answers" if answered else f"{name}: answers are missing",
        f"inference {timings[0]['inference_ns'] / 1e9:.2f} s a batch of {case.batch}",
        f"logits {found.ours.shape} differ by {difference:.1e} at most, standard deviation {found.theirs.std():.2g}",
        f"{time.monotonic() - began:.0f} s in all, load before it {load:.1f}",
        sep="; ",
        flush=True,
    )
    return answered and found.weights == case.weights and difference < WITHIN < found.theirs.std()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--directory", type=Path, help="where checkpoints are written for a while; the system's own place by default")
    options = parser.parse_args()
    unknown = set(options.models) - set(CASES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: no model of this benchmark; there are {', '.join(CASES)}")
    holds = {}
    for name in options.models or CASES:
        with tempfile.TemporaryDirectory(dir=options.directory) as scratch:
            holds[name] = judged(name, Path(scratch))
    print(", ".join(f"{name} {'holds' if held else 'missed'}" for name, held in holds.items()))
    return 0 if all(holds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
