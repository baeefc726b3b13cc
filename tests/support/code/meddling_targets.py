"""A model that does something to its surroundings while it is measured: to the results, or to how its own process is placed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from null_targets import Loaded, NullModel

from orchestrator.contracts import LoadContext


def another(results: Path) -> None:
    results.rename(results.with_name("moved"))
    results.mkdir()


DEEDS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda results: None,
    "move": lambda results: results.rename(results.with_name("moved")),
    "another": another,
    "delete": shutil.rmtree,
    "nice": lambda results: os.nice(1),
    "cores": lambda results: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "batch": lambda results: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
}


class Meddling(Loaded):
    def __init__(self, deed: str, results: Path, at_round: int) -> None:
        super().__init__(0, [], [])
        self._deed, self._results, self._left = deed, results, at_round + 3  # two rounds of warm-up come before the first

    def infer(self, inputs: list[int]) -> list[int]:
        if inputs == [0]:
            self._left -= 1
            if self._left == 0:
                if self._deed == "pool":
                    self.facts = {"threads": {"intra_op": 999}}
                else:
                    DEEDS[self._deed](self._results)
        return super().infer(inputs)


class MeddlingModel(NullModel):
    """Does its deed on the first sample of a round."""

    def __init__(self, deed: str, results: str, at_round: int) -> None:
        super().__init__()
        self._meddling = (deed, Path(results), at_round)

    def load(self, context: LoadContext) -> Meddling:
        return Meddling(*self._meddling)


class SecretModel(NullModel):
    """Writes what it was given into a file, which is no file of the results."""

    def __init__(self, token: str, header: dict[str, str], seen: str, refused: bool) -> None:
        super().__init__()
        self._token, self._refused = token, refused
        Path(seen).write_text(f"{token} {header['authorization']}")

    def load(self, context: LoadContext) -> Loaded:
        if self._refused:
            raise PermissionError(f"401 for https://hub/?token={self._token}")
        loaded = super().load(context)
        loaded.facts = {"threads": {}, "hub": [{"token": self._token, self._token: True}]}
        return loaded
