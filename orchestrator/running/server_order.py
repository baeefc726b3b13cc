"""What the keeper of a server is told: the command with every name filled in, its cores and its environment."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.configuration.server import ServerSettings, filled
from orchestrator.machine.cores import THREAD_VARIABLES

NOT_INHERITED = (*THREAD_VARIABLES, "CUDA_VISIBLE_DEVICES")
"""What stands in a timed process's environment for itself alone; and all of Ray's, or a server might join our private Ray."""
RAY = "RAY_"


@dataclass(frozen=True)
class Order:
    """What the keeper is told: a command with every name filled in, on which cores, with which environment, logging where."""

    command: tuple[str, ...]
    cores: tuple[int, ...]
    environment: Mapping[str, str]
    stop_s: float
    log: Path

    def as_json(self) -> bytes:
        """Return it as a line."""
        order = {
            "command": self.command, "cores": self.cores, "environment": dict(self.environment), "stop_s": self.stop_s,
            "log": str(self.log),
        }  # fmt: skip
        return json.dumps(order).encode() + b"\n"


def order_of(settings: ServerSettings, cores: Sequence[int], inherited: Mapping[str, str], log: Path, cache: Path) -> Order:
    """Return the order for a server whose URL has its port (pure).

    Parameters
    ----------
    cores
        those that it is pinned to.
    inherited
        the environment of the timed process.
    cache
        folder for derived files.
    """
    values = words_of(settings, len(cores) or os.cpu_count() or 1, cache)
    threads = dict.fromkeys(THREAD_VARIABLES, str(len(cores))) if cores else {}
    kept = {name: value for name, value in inherited.items() if name not in NOT_INHERITED and not name.startswith(RAY)}
    own = {name: filled(value, values) for name, value in settings.environment.items()}
    command = tuple(filled(word, values) for word in settings.command or ())
    return Order(command, tuple(cores), {**kept, **threads, "RAY_USAGE_STATS_ENABLED": "0", **own}, settings.stop_s, log)


def words_of(settings: ServerSettings, cores: int, cache: Path) -> dict[str, object]:
    """Return what the names in a command stand for."""
    parts = settings.parts
    known = {"cache": cache, "cores": cores, "host": parts.hostname, "port": parts.port, "python": sys.executable, "url": settings.url}
    return {**settings.settings, **known}


def ready_url(settings: ServerSettings) -> str:
    """Return the URL that is asked until it answers 200."""
    named = settings.ready_url
    if named is None:
        return str(settings.url)
    if not named.startswith("/"):
        return filled(named, {"host": settings.parts.hostname, "port": settings.parts.port, "url": settings.url})
    return settings.parts._replace(path=named).geturl()
