"""Packages that are wanted for the files inside them: where those files are, and the command that brings what is missing.

Such packages are never imported for their files. A module of a task or a model names what it cannot do without in a constant
``NEEDS``, which ``python -m tasks.assets`` lists.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from orchestrator.contracts import InputError

ASSETS, USER = "assets.txt", "user"
VISION, LANGUAGE, TIMM, TENSORFLOW = "extra vision", "extra language", "extra timm", "extra tensorflow"
"""What brings a need: the pinned packages of ``assets.txt``, an extra of this distribution, or the user."""


@dataclass(frozen=True)
class Need:
    """What a task, a model or a runtime cannot do without: a package (by the name pip knows), or a file of the user's."""

    needed_by: str
    source: str
    what_for: str
    brought_by: str


SAME_MODULES = {"tensorflow": ("tensorflow-cpu",)}
"""Distributions that bring the same modules as another one."""


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution, or of one that brings the same modules, or None."""
    for name in (package, *SAME_MODULES.get(package, ())):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def locate(package: str, pattern: str) -> list[Path]:
    """Return the files of an installed distribution that match a glob pattern, sorted, without importing it.

    Raises
    ------
    InputError
        where the distribution or every such file is missing; the line ends with the command that brings it.
    """
    if installed_version(package) is None:
        raise InputError(f"package {package} is not installed: run `{install_command()}`", "not_installed", value=package)
    listed = metadata.files(package) or ()
    found = sorted(Path(str(file.locate())) for file in listed if file.match(pattern))
    present = [path for path in found if path.is_file()]
    if not present or len(present) < len(found):
        raise InputError(f"package {package} lacks {pattern}: run `{install_command('--force-reinstall')}`", "damaged", value=package)
    return present


def extra_command(extra: str) -> str:
    """Return the command that brings what an extra (``VISION`` and so on) names."""
    return f"pip install 'tail-quality[{extra.removeprefix('extra ')}]'"


def require_modules(modules: Sequence[str], needed_by: str, extra: str = VISION) -> None:
    """Raise InputError for the first of these top-level modules that is not installed. Imports none."""
    for module in modules:
        if find_spec(module) is None:
            raise InputError(
                f"{needed_by} needs the package {module}, which is not installed: run `{extra_command(extra)}`",
                "not_installed",
                value=module,
            )


def requirements_file() -> Path:
    """Return the hash-pinned requirements file: beside this module in a wheel, else in the checkout."""
    in_wheel = Path(__file__).with_name("assets.txt")
    return in_wheel if in_wheel.is_file() else Path(__file__).parents[1] / "requirements" / "assets.txt"


def install_command(*options: str) -> str:
    """Return the one command that brings all packages of the requirements file, as it would be typed in this folder."""
    path = requirements_file()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return shlex.join(["pip", "install", *options, "--no-deps", "--require-hashes", "-r", str(shown)])
