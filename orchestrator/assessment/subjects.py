"""The systems that requirements are held against: trials of one match key, over repeats and campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.storage.reader import Campaign


@dataclass(frozen=True)
class Session:
    """A stored campaign as requirements read it."""


def read_sessions(campaigns: Sequence[Campaign], overrides: Sequence[str] = ()) -> list[Session]:
    """Return what requirements need of each campaign. Raises InputError for files that cannot be read."""
    raise NotImplementedError
