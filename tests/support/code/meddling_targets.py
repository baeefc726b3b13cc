"""A model that does something to its surroundings while it is measured: to the results, or to how its own process is placed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from null_targets import Loaded, NullModel

from orchestrator.contracts import LoadContext


def copy(results: Path) -> None:
    shutil.copy(results / "campaign.json", results / "copy")
    (results / "copy").rename(results / "campaign.json")


def another(results: Path) -> None:
    results.rename(results.with_name("moved"))
    results.mkdir()


def take(name: str, whose: str) -> Callable[[Path], None]:
    """Remove a file or folder of the trial whose record holds these words, once."""

    def deed(results: Path) -> None:
        marker = results.with_name(f"taken {name} {whose}")
        if not marker.exists():
            marker.touch()
            (record,) = (path for path in results.glob("trials/*/trial.json") if whose in path.read_text())
            path = record.parent / name
            (shutil.rmtree if path.is_dir() else Path.unlink)(path)

    return deed


DEEDS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda results: None,
    "remove": lambda results: (results / "campaign.json").unlink(),
    "folder": lambda results: ((results / "campaign.json").unlink(), (results / "campaign.json").mkdir()),
    "copy": copy,
    "move": lambda results: results.rename(results.with_name("moved")),
    "another": another,
    "delete": shutil.rmtree,
    **{f"take {name}": take(name, f"take {name}") for name in (".", "rounds")},
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
        super().__init__(0, [], [], False, False)
        self._meddling = (deed, Path(results), at_round)

    def load(self, context: LoadContext) -> Meddling:
        return Meddling(*self._meddling)


class SecretModel(NullModel):
    """Writes what it was given into a file, which is no file of the results."""

    def __init__(self, token: str, header: dict[str, str], seen: str, refused: bool) -> None:
        super().__init__(0, [], [], False, False)
        self._token, self._refused = token, refused
        Path(seen).write_text(f"{token} {header['authorization']}")

    def load(self, context: LoadContext) -> Loaded:
        if self._refused:
            raise PermissionError(f"401 for https://hub/?token={self._token}")
        loaded = super().load(context)
        loaded.facts = {"threads": {}, "hub": [{"token": self._token, self._token: True}]}
        return loaded
