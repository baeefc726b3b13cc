"""Runs a program of Ray's, ``python light_process.py PROGRAM ARGUMENTS``, without importing what only other users of Ray need.

`import ray` imports two packages to validate descriptions and to ask clouds for their TPUs: a third of the processor time with which each
process of Ray's begins. It needs Ray alone, as `light_ray.py` does.
"""

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder: PROGRAM's takes its place

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

SELDOM_USED = ("jsonschema", "requests")


class Later(ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def left_for_later(names: Sequence[str] = SELDOM_USED) -> Iterator[None]:
    """Have what is imported meanwhile get modules that are imported when they are first used. Whoever imports one afterwards gets it."""
    standing = {name: Later(name) for name in names if name not in sys.modules}
    sys.modules.update(standing)
    try:
        yield
    finally:
        for name, module in standing.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def run(program: str, arguments: Sequence[str]) -> None:
    """Be that program."""
    import os
    from runpy import run_path

    sys.path.insert(0, os.path.dirname(program))  # noqa: PTH120 - what Python does with a program
    sys.argv = [program, *arguments]
    with left_for_later():
        import ray  # noqa: F401
    run_path(program, run_name="__main__")


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
