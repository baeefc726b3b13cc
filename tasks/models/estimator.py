"""An estimator of scikit-learn for rows of a table, from a file of skops or from a function that returns it. No pickle is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext
from tasks.packages import USER, Need

NEEDS = (Need("model estimator", "your file: model.path, or model.function", "fitted estimator", USER),)


class Estimator:
    """``path`` is a file of skops, ``trusted`` the types in it that are yours; ``function`` is ``module:function`` in its place."""

    def __init__(self, path: str | None, function: str | None, trusted: Sequence[str]) -> None:
        self._path = None if path is None else Path(path).expanduser()
        self._function, self._trusted = function, list(trusted)

    def check(self) -> None:
        """Raise InputError unless exactly one of file and function is named, and is there."""
        if (self._path is None) == (self._function is None):
            raise InputError(
                "model.path and model.function: name one, a file of skops or module:function that returns a fitted estimator",
                "missing",
                "model.path",
            )
        if self._path is not None and not self._path.is_file():
            raise InputError(f"model.path={self._path} is no file; name one of skops", "not_found", "model.path", self._path)
        if self._path is not None and find_spec("skops") is None:
            raise InputError("model.path needs the package skops, which is not installed: run `pip install skops`", "not_installed")

    def files(self) -> Sequence[Path]:
        return () if self._path is None else (self._path,)

    def load(self, context: LoadContext) -> LoadedEstimator:
        if self._function is not None:
            return LoadedEstimator(resolve_name(self._function)())
        from skops.io import load

        return LoadedEstimator(load(self._path, trusted=self._trusted))


@dataclass
class LoadedEstimator:
    """A fitted estimator. One that was fitted to a data frame gets one, where pandas is installed."""

    estimator: Any
    facts: Mapping[str, Any] = field(default_factory=dict)

    def input_size(self, sample: Mapping[str, Any]) -> int:
        return len(sample)

    def preprocess(self, samples: Sequence[Mapping[str, Any]]) -> Any:
        if hasattr(self.estimator, "feature_names_in_") and find_spec("pandas") is not None:
            from pandas import DataFrame

            return DataFrame(list(samples))[list(self.estimator.feature_names_in_)]
        return np.array([list(sample.values()) for sample in samples])

    def infer(self, inputs: Any) -> Any:
        return self.estimator.predict(inputs)

    def postprocess(self, outputs: Any) -> list[Any]:
        answers: list[Any] = np.asarray(outputs).tolist()
        return answers
