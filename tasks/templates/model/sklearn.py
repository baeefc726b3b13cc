"""Your model: an estimator of scikit-learn (`pip install scikit-learn`). It runs with runtime=python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import my_task

from orchestrator.contracts import LoadContext


class MyModel:
    """Every further key of `conf/model/my_model.yaml` is an argument of the constructor. No framework is imported before `load`."""

    def check(self) -> None:
        """Raise orchestrator.contracts.InputError for a mistake in the keys or the files, before anything is measured."""

    def files(self) -> Sequence[Path]:
        """Return the files of the weights: their content is part of a trial's identity. This model has none."""
        return ()

    def load(self, context: LoadContext) -> "Loaded":
        """Return the estimator, ready to answer. Runs in the timed process; replace fitting by reading a file, such as one of skops."""
        from sklearn.linear_model import LogisticRegression

        return Loaded(LogisticRegression().fit(*my_task.training()))


class Loaded:
    """The three stages that clocks measure."""

    def __init__(self, estimator: Any) -> None:
        self.facts: dict[str, Any] = {}
        self.infer = estimator.predict_log_proba

    def input_size(self, sample: Any) -> int:
        """Return the size of one sample."""
        return int(my_task.inputs([sample]).size)

    def preprocess(self, samples: Sequence[Any]) -> Any:
        """Return the inputs."""
        return my_task.inputs(samples)

    def postprocess(self, outputs: Any) -> list[Any]:
        """Return one answer for each sample."""
        answers: list[Any] = my_task.answers(outputs)
        return answers
