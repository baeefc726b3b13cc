"""Do the study's vision models run at their published size, and answer as their own libraries do?

Each model is made with random weights in the form in which it is published, measured for one round through the command line, and asked
once more in this process beside its library's own pipeline: timm's transform and network, transformers' processor (by PIL) and network.
They run one after another; each takes up to 5 GiB of memory and 1.3 GB of disk.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

import orchestrator
from benchmarks.common import ROOT, Benchmark, Figure, LeftOut, at_least, at_most, cost_of
from orchestrator.contracts import LoadContext
from tasks.imagenet_samples import ImageNetSamples
from tasks.models.detr import Detr
from tasks.models.timm_classifier import TimmClassifier

CONF = ROOT / "conf" / "model"
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

    peer: str
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
    "vit_l_32_384": Case("timm", 306_632_680, PICTURES, make_vit, compare_vit),
    "detr_resnet101": Case(
        "transformers", DETR_WEIGHTS, 2, partial(make_detr, name="detr_resnet101", batch=2, dilation=False), compare_detr
    ),
    "detr_resnet101_dc5": Case(
        "transformers", DETR_WEIGHTS, 1, partial(make_detr, name="detr_resnet101_dc5", batch=1, dilation=True), compare_detr
    ),
}


def of_model(name: str, case: Case, folder: Path) -> Iterator[Figure]:
    """Make a model, measure a round of it through the command line, and compare its answers."""
    limits = ["measurement.rule=rounds", *(f"measurement.{limit}_rounds=1" for limit in ("min", "max", "warmup")), "measurement.lead_in=0"]
    results = folder / "results"
    cost_of(*case.make(folder), "cluster=inline", *limits, f"measurement.batch={case.batch}", f"results_dir={results}")
    [trial] = orchestrator.open(results).trials().to_pylist()
    timings = orchestrator.open(results).timings(trial["trial"]).to_pylist()
    yield Figure(f"{name}: answers", sum(row["outcome"] == "ok" and row["inference_ns"] > 0 for row in timings))
    context = LoadContext(
        runtime="torch",
        dtype="fp32",
        deterministic=False,
        autotune=False,
        device="cpu",
        threads=len(os.sched_getaffinity(0)),
        batch=case.batch,
        cache_dir=folder,
    )
    found = case.compare(folder, context)
    yield Figure(f"{name}: weights more or less than published", abs(found.weights - case.weights))
    peer = f"{case.peer} {version(case.peer)}, standard deviation {found.theirs.std():.2g}"
    yield Figure(f"{name}: largest difference of logits", float(np.abs(found.ours - found.theirs).max()), "", peer)


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    for package in ("timm", "transformers"):
        if find_spec(package) is None:
            raise LeftOut(f"pip install {package}")
    for name in asked.models or CASES:
        with tempfile.TemporaryDirectory(dir=asked.directory) as scratch:
            yield from of_model(name, CASES[name], Path(scratch))


BENCHMARK = Benchmark(
    "paper_models",
    "Whether the study's vision models, of random weights, run at their published size and answer as their own libraries do",
    measure,
    bars={
        f"{name}: {what}": bar
        for name, case in CASES.items()
        for what, bar in (
            ("answers", at_least(case.batch)),
            ("weights more or less than published", at_most(0)),
            ("largest difference of logits", at_most(1e-5)),
        )
    },
    peer="timm, transformers",
    is_quick=False,
    options={
        "models": {"nargs": "*", "metavar": "MODEL", "help": f"of {', '.join(CASES)}; all by default"},
        "--directory": {"type": Path, "help": "where checkpoints are written for a while; the system's own place by default"},
    },
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
