"""An estimator of scikit-learn for rows of a table, from a file of skops or from a function that returns it. No pickle is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext
from tasks.packages import USER, Need

NEEDS = (Need("model estimator", "your file: model.path, or model.function", "fitted estimator", USER),)


class Estimator:
    """``path`` is a file of skops, ``trusted`` the types that it may hold besides; ``function`` is ``module:function`` in its place."""

    def __init__(self, path: str | None, function: str | None, trusted: Sequence[str]) -> None:
        self._path = None if path is None else Path(path).expanduser()
        self._function, self._trusted = function, trusted

    def check(self) -> None:
        """Raise InputError unless exactly one of file and function is named, and the file can be read."""
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
        from skops.io import get_untrusted_types, load

        untrusted = ",".join(sorted({*get_untrusted_types(file=self._path)} - {*self._trusted}))
        if untrusted:
            raise InputError(
                f"{self._path} holds types that could run code: if you trust its writer, add model.trusted=[{untrusted}]",
                "unsafe",
                "model.trusted",
                untrusted,
            )
        return LoadedEstimator(load(self._path, trusted=self._trusted))


class LoadedEstimator:
    """A fitted estimator. One that was fitted to a data frame gets its columns in their order, as a frame where pandas is installed."""

    def __init__(self, estimator: Any) -> None:
        self.facts: Mapping[str, Any] = {}
        self.infer = estimator.predict
        self._columns = list(getattr(estimator, "feature_names_in_", ()))
        self._frame = import_module("pandas").DataFrame if self._columns and find_spec("pandas") else None

    def input_size(self, sample: Mapping[str, Any]) -> int:
        return len(sample)

    def preprocess(self, samples: Sequence[Mapping[str, Any]]) -> Any:
        columns = self._columns or list(samples[0])
        rows = [[sample[name] for name in columns] for sample in samples]
        return np.array(rows) if self._frame is None else self._frame(rows, columns=columns)

    def postprocess(self, outputs: Any) -> Any:
        return np.asarray(outputs).tolist()
