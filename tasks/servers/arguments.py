"""What every server of this folder is told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

LOOPBACK = "127.0.0.1"
"""No server of this folder listens to other machines."""


def read(about: str | None, **numbers: float) -> Mapping[str, float]:
    """Return ``--port`` and further numbers, each with its default, by name. The default's type is the number's."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return vars(parser.parse_args())
