"""Which Python files a trial runs, and their digests: a change in any other file does not touch what is measured."""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from orchestrator.configuration.config import Trial
from orchestrator.metrics import names_in

OURS = ("orchestrator", "tasks")
RUNS_EVERY_TRIAL = (
    "orchestrator.running.pipeline",
    "orchestrator.measurement.worker",
    "orchestrator.running.inline",
    "orchestrator.distributed.actor",
    "orchestrator.distributed.executor",
)
"""The modules from which all code is reached that measures a trial and decides its stop."""
LOADERS = frozenset(["import_module", "__import__", "resolve_name", "exec_module", "run_path", "run_module", "exec", "eval"])
"""What code calls to import a module that no import statement names."""
IMPORT_STATEMENT = re.compile(r"^[ \t]*((?:from|import)[ \t](?:[^\n(#]*\([^)]*\)|[^\n(]*))", re.MULTILINE)
"""Where a line begins with one; names in parentheses may stand on several lines."""


class CodeFiles:
    """The Python files of ``orchestrator``, ``tasks`` and the user's own folders, by the name of their module.

    Of two files with one name the first counts, as it does for Python. What a trial runs is found by reading, not by running: all that
    its files import anywhere, and what those outside ``orchestrator`` name in a string (``"tasks.runtimes.onnx_runtime:Session"``). A
    file of the user's that loads modules by names that it makes up stands for all files of the user's folders; a package of ours that
    does so, for all its files. The user's metrics always count: a task names them by their names.
    So do the modules that the command and the settings of a server name which the trial starts.
    """

    def __init__(self, folders: Iterable[str] = ()) -> None:
        self._home = Path(__file__).parents[2]
        self._paths: dict[str, Path] = {}
        own = [(folder, folder) for folder in (Path(name).expanduser() for name in folders)]
        for root, start in [*((self._home, self._home / name) for name in OURS), *own]:
            for path in sorted(start.rglob("*.py")):
                self._paths.setdefault(_module(path.relative_to(root)), path)
        self._metrics = [name for name, path in self._paths.items() if name.partition(".")[0] not in OURS and any(names_in(path))]
        self._mentioned: dict[str, frozenset[str]] = {}
        self._reached: dict[tuple[str, ...], frozenset[str]] = {}
        self._digests: dict[str, str] = {}

    def of_trials(self, trials: Iterable[Trial]) -> dict[str, str]:
        """Return the SHA-256 of every file that any of these trials runs, by the name of its module."""
        names = frozenset[str]().union(*map(self._names, trials))
        return {name: self._digest(name) for name in sorted(names & self._paths.keys())}

    def changed(self, trial: Trial, before: Mapping[str, str]) -> list[str]:
        """Return the files that a trial runs and that differ from ``before``: changed, new, or gone."""
        names = sorted(self._names(trial))
        return [self._shown(name) for name in names if before.get(name) != (self._digest(name) if name in self._paths else None)]

    def _names(self, trial: Trial) -> frozenset[str]:
        """Return the modules that a trial runs, with names that no file stands for."""
        targets = tuple(target.partition(":")[0] for target in (trial.model.target, trial.task.target))
        if trial.runtime.asks_server:  # found by its name, in our package or in the user's folders
            places = (f"tasks.runtimes.{trial.runtime.name}", trial.runtime.name)
            targets = (*targets, *(name for name in places if name in self._paths))
        told = (*(trial.server.command or ()), *map(str, trial.server.settings.values()))
        served = [name for name in (word.partition(":")[0] for word in told) if name in self._paths]
        targets = (*targets, *served)
        if targets not in self._reached:
            reached: set[str] = set()
            waiting = {*RUNS_EVERY_TRIAL, *targets, *self._metrics}
            while waiting:
                found = {package for name in waiting for package in _with_packages(name)} - reached
                reached |= found
                # The package itself imports only for scripts that call ``orchestrator.open``.
                waiting = {mention for name in found & self._paths.keys() - {"orchestrator"} for mention in self._mentions(name)}
            self._reached[targets] = frozenset(reached)
        return self._reached[targets]

    def _mentions(self, name: str) -> frozenset[str]:
        if name not in self._mentioned:
            path = self._paths[name]
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            if name.startswith("orchestrator.") and path.name != "__init__.py":
                # Of these nothing else is asked; the program waits for them all before it measures.
                self._mentioned[name] = imported_by_lines(path.read_text("utf-8"), package)
                return self._mentioned[name]
            read = read_imports(path.read_bytes(), package)
            found = read.imported
            if not name.startswith("orchestrator."):
                found |= read.named_in_strings & self._paths.keys()
            if read.loads_by_name and name.partition(".")[0] not in OURS:
                found |= {other for other in self._paths if other.partition(".")[0] not in OURS}
            elif read.loads_by_name and path.name == "__init__.py":
                found |= {other for other in self._paths if other.startswith(f"{name}.")}
            self._mentioned[name] = found
        return self._mentioned[name]

    def _digest(self, name: str) -> str:
        if name not in self._digests:
            self._digests[name] = hashlib.sha256(self._paths[name].read_bytes()).hexdigest()
        return self._digests[name]

    def _shown(self, name: str) -> str:
        path = self._paths.get(name)
        if path is None:
            return f"{name} (gone)"
        return path.relative_to(self._home).as_posix() if name.partition(".")[0] in OURS else str(path)


class Imports(NamedTuple):
    """What a file imports, as far as it can be read."""

    imported: frozenset[str]
    """What import statements name: modules, and what may be modules in them."""
    named_in_strings: frozenset[str]
    """What stands before the first colon of its strings."""
    loads_by_name: bool
    """Whether it calls what imports a module by its name, or runs text as code."""


@cache
def read_imports(content: bytes, package: str) -> Imports:
    """Return what a file in ``package`` imports; nothing for one that is not Python. Equal files are read once in a process."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):
        nodes = []
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    calls = (node.func for node in nodes if isinstance(node, ast.Call))
    return Imports(
        frozenset(name for node in nodes for name in _imported(node, package)),
        frozenset(text.partition(":")[0] for text in texts),
        any((call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")) in LOADERS for call in calls),
    )


@cache
def imported_by_lines(text: str, package: str) -> frozenset[str]:
    """Return what a file of our own style imports, by its import statements alone: ten times as fast as reading all of it."""
    return frozenset(name for statement in IMPORT_STATEMENT.findall(text) for name in _imported_by(statement, package))


def _imported_by(statement: str, package: str) -> Iterator[str]:
    try:
        (node,) = ast.parse(statement).body
    except (SyntaxError, ValueError):  # a line of prose that begins as one
        return
    yield from _imported(node, package)


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".") if package else []
        above = parents[: len(parents) - node.level + 1] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        yield base
        yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _with_packages(name: str) -> Iterator[str]:
    """Yield a module and the packages it is in: importing it runs all of them."""
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def digest_code(folders: Iterable[str] = ()) -> str:
    """Return the SHA-256 of every Python file's name and content, 64 hexadecimal digits."""
    ours = Path(__file__).parents[1]
    roots = [ours, ours.parent / "tasks", *(Path(folder).expanduser() for folder in folders)]
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            if not any(part.startswith(".") for part in path.relative_to(root).parts):
                digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
