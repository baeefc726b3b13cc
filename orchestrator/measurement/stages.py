"""The stages of an inference, of items as a task holds its samples."""

from collections.abc import Sequence
from typing import Any

from orchestrator.contracts import LoadedModel, Sample, Task
from orchestrator.measurement.timing import Stages

Items = Sequence[Any]


def stages_for(preload: str, samples: Sequence[Sample], task: Task, model: LoadedModel) -> tuple[Items, Stages]:
    """Return one item per sample and the stages that take lists of such items.

    ``bytes`` holds encoded samples, ``none`` holds nothing (the file is read inside ``preprocess``), ``decoded`` holds decoded
    samples.
    """
    decode, preprocess = task.decode, model.preprocess

    def from_bytes(items: Sequence[bytes]) -> Any:
        return preprocess([decode(item) for item in items])

    def from_files(items: Sequence[Sample]) -> Any:
        return preprocess([decode(item.read()) for item in items])

    if preload == "none":
        return samples, Stages(from_files, model.infer, model.postprocess)
    if preload == "decoded":
        return [decode(sample.read()) for sample in samples], Stages(preprocess, model.infer, model.postprocess)
    return [sample.read() for sample in samples], Stages(from_bytes, model.infer, model.postprocess)
