"""Find and construct the classes that YAML files name, and make sure that they are the ones meant."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError
from orchestrator.subject.user_code import place_of, told_with_place

OURS = ("orchestrator", "tasks")


def add_code_folders(folders: Sequence[str]) -> None:
    """Make the user's own modules importable, after everything that is importable already.

    Raises
    ------
    InputError
        for a folder that is not there.
    """
    for folder in folders:
        path = Path(folder).expanduser().absolute()
        if not path.is_dir():
            raise InputError(f"code={folder}: there is no such folder; it must hold the modules that your YAML files name")
        if str(path) not in sys.path:
            sys.path.append(str(path))


def check_packages(home: Path | None = None) -> None:
    """Refuse a stray module that hides one of our packages, as a ``tasks.py`` in the working directory does.

    ``home`` is the folder both packages must be in; that of the running orchestrator by default. Raises InputError.
    """
    home = Path(__file__).resolve().parents[2] if home is None else home
    for name in OURS:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise InputError(f"the package {name} of tail-quality is not installed; install tail-quality again")
        places = [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or ""]]
        if home / name not in places:
            raise InputError(f"{spec.origin or places[0]} hides the package {name} of tail-quality; rename it or start from another folder")


def resolve(block: str, target: str, options: Mapping[str, Any]) -> Any:
    """Construct the class that ``model.target`` or ``task.target`` names.

    Parameters
    ----------
    block
        ``model`` or ``task``, for messages.
    target
        ``package.module:Class``.
    options
        keyword arguments: the YAML's own keys.

    Raises
    ------
    InputError
        where the module or class is not there, cannot be imported, or does not take these options.
    """
    where = f"{block}.target={target}"
    try:
        found = pkgutil.resolve_name(target)
    except ModuleNotFoundError as error:
        raise InputError(f"{where}: there is no module {error.name}; {_advice(target, error.name)}") from error
    except AttributeError as error:
        module, _, name = target.partition(":")
        raise InputError(f"{where}: module {module} has no {name}; correct the YAML") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit: nothing that code of the user's raises may end the program
        raise InputError(f"{where}: importing it raised {told_with_place(error)}; correct the module") from error
    _check_options(block, target, found, options)
    with faults_of(f"{block}.target={target}"):
        return found(**options)


@contextmanager
def faults_of(where: str) -> Iterator[None]:
    """Tell what a user's file or class raises in one line that says where it was."""
    try:
        yield
    except (InputError, KeyboardInterrupt):
        raise
    except OSError as error:
        reason = f"{error.strerror}{place_of(error)}" if error.strerror else told_with_place(error)
        raise InputError(f"{error.filename or where}: cannot be read: {reason}; check the path and its permissions") from error
    except BaseException as error:  # also SystemExit: nothing that code of the user's raises may end the program
        raise InputError(f"{where}: raised {told_with_place(error)}; check its options, or the class itself") from error


def _advice(target: str, missing: str | None) -> str:
    if missing and not target.partition(":")[0].startswith(missing):
        return f"it is imported by {target.partition(':')[0]}: install it"
    return "correct the YAML, or name the folder of your own modules with code=[DIR]"


def _check_options(block: str, target: str, found: Any, options: Mapping[str, Any]) -> None:
    """Compare the YAML's own keys with what the class takes, before it is called."""
    if not callable(found):
        raise InputError(f"{block}.target={target}: is no class; correct the YAML")
    try:
        signature = inspect.signature(found)
        signature.bind(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"{block}.target={target}: {error}; the keys of the {block}'s YAML must be its arguments") from error
