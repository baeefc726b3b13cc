"""Change rooms of the package in small ways, and count the changes that their tests notice.

``python benchmarks/mutation.py [measurement storage running] [--sample 60] [--seed 0] [--coverage FILE]`` mutates copies of the
repository: comparisons, arithmetic, ``and``/``or``, conditions, numbers and switches. A mutant meets the tests that run its line,
found by one run with coverage, which FILE keeps for the next call. Not mutated: annotations, docstrings, what ``raise`` says, the
switches ``strict``, ``frozen`` and ``slots``, and seconds to wait (``*_S``), as no test asserts how long anything takes. Prints every
mutant that survives, and the share that was killed of each module and room; exit code 1 where a room is below 80 %. A line that only a
process runs that a test starts has no test.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import coverage
import pytest

ROOT = Path(__file__).parents[1]
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
TIMEOUT_S = 120
"""Of a test; a mutant that hangs is killed."""
AT_ONCE = 2
# Tests that a mutant meets: those of its own room first, and of these the ones that run the fewest lines of its module.
MOST = 120
OWN = {"measurement": ("measurement", "subject", "servers"), "running": ("running", "planning", "execution", "faults")}
"""Folders of tests of a room, where they are not of its name."""
IMPORTED = ("scipy.stats", "pyarrow.parquet", "pydantic", "psutil", "hydra", "hypothesis", "ray")
"""What most tests need, before the forks: a mutant takes half a second."""
ENOUGH = 0.8
FOLDERS = ("measurement", "storage", "running", "execution", "planning", "faults", "subject", "distributed", "commands", "servers")
"""Folders of fast tests; those of other rooms use these rooms too, and check other things."""
SLOW_FOLDERS = ("running", "servers/test_served_trials.py")
"""Slow tests that run in this process, without Ray."""
# Tests of lines that run in processes of their own, by module; other such lines have no test here.
SLOW = {name: ["tests/execution/test_keeper_and_servers.py"] for name in ("keeper.py", "server.py")}
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "ignore::pytest.PytestAssertRewriteWarning")


class Mutant(NamedTuple):
    """A change: its module, the lines of its statement, what stands there instead, and the whole source."""

    module: str
    lines: range
    text: str
    source: str


def changed(node: ast.AST) -> ast.AST | None:
    """Return a changed copy of a node, None where there is nothing to change in it."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=[operator, *_]) if type(operator) in SWAPS:
            new.ops[0] = SWAPS[type(operator)]()
        case ast.BinOp(op=operator) | ast.BoolOp(op=operator) if type(operator) in SWAPS:
            new.op = SWAPS[type(operator)]()
        case ast.If(test=test) | ast.IfExp(test=test):
            new.test = ast.UnaryOp(ast.Not(), test)
        case ast.Constant(value=bool() as value):
            new.value = not value
        case ast.Constant(value=int() | float() as value):
            new.value = value + 1
        case _:
            return None
    return new


def statements(node: ast.AST, statement: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield every node below one that a change of behaviour can begin at, and its statement."""
    for name, field in ast.iter_fields(node):
        for child in field if isinstance(field, list) else [field]:
            match child:
                case ast.AST() if name in {"annotation", "returns"}:
                    pass
                case ast.Assign(targets=[ast.Name(id=assigned)]) if assigned.endswith("_S"):
                    pass
                case ast.Raise() | ast.keyword(arg="strict" | "frozen" | "slots") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                    pass
                case ast.AST():
                    own = child if isinstance(child, ast.stmt) else statement
                    yield child, own
                    yield from statements(child, own)


def mutants(module: str) -> Iterator[Mutant]:
    tree = ast.parse((ROOT / module).read_text("utf-8"))
    for node, statement in [*statements(tree, tree)]:
        new = changed(node)
        if new is not None:
            before = dict(node.__dict__)
            node.__dict__.update(new.__dict__)
            end = statement.body[0].lineno if hasattr(statement, "body") else statement.end_lineno + 1
            lines = range(node.lineno, max(end, node.lineno + 1))
            yield Mutant(module, lines, ast.unparse(new).splitlines()[0], ast.unparse(tree))
            node.__dict__.update(before)


def tests_of(mutant: Mutant, seen: coverage.CoverageData) -> list[str]:
    """Return the tests that run a line, those of its room and of the fewest lines first; those of the module for a line of import."""
    by_line = seen.contexts_by_lineno(str(ROOT / mutant.module))
    contexts = {one for line in mutant.lines for one in by_line.get(line, ())}
    if "" in contexts:
        contexts = {one for found in by_line.values() for one in found}
    count = Counter(one for found in by_line.values() for one in found)
    room = Path(mutant.module).parts[1]
    own = tuple(f"tests/{folder}/" for folder in OWN.get(room, [room]))
    order = sorted(contexts - {""}, key=lambda one: (not one.startswith(own), count[one]))
    # What a fixture ran, another test of its file may share.
    named = [one.partition("::")[0] if one.endswith("|setup") else one.rpartition("|")[0] for one in order]
    found = [*dict.fromkeys(one for one in named if one.partition("::")[0] == one or one.partition("::")[0] not in named)]
    return found[:MOST] or SLOW.get(Path(mutant.module).name, [])


def begin(copied: Path, tests: list[str]) -> int:
    """Begin tests in a copy of the repository; return the process. A fork need not import again what this process has."""
    if pid := os.fork():
        return pid
    os.setsid()
    os.chdir(copied)
    os.environ["PYTHONPATH"] = sys.path[0] = str(copied)
    sys.dont_write_bytecode = True
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    os._exit(pytest.main([*OPTIONS, "-x", f"--override-ini=timeout={TIMEOUT_S}", *tests]))


def survive(changes: Sequence[Mutant], tests: Sequence[list[str]], copies: list[Path]) -> Iterator[tuple[Mutant, list[str]]]:
    """Yield the mutants that pass their tests, or have none, and those tests."""
    waiting, running, free = [*zip(changes, tests, strict=True)], {}, [*copies]
    while waiting or running:
        if waiting and free:
            mutant, names = waiting.pop()
            if names:
                copied = free.pop()
                (copied / mutant.module).write_text(mutant.source, "utf-8")
                running[begin(copied, names)] = mutant, names, copied
            else:
                yield mutant, names
            continue
        process, status = os.wait()
        mutant, names, copied = running.pop(process)
        shutil.copy2(ROOT / mutant.module, copied / mutant.module)
        free.append(copied)
        if status == 0:
            yield mutant, names


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rooms", nargs="*", default=["measurement", "storage", "running"])
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coverage", type=Path)
    asked = parser.parse_args()
    for name in IMPORTED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        path = asked.coverage or Path(folder, "kept")
        if not path.exists():
            # no settings: processes that tests start belong to no test
            watched = ("-n2", "--cov=orchestrator", "--cov-append", "--cov-context=test", "--cov-config=/dev/null", "--cov-report=")
            environment = {**os.environ, "COVERAGE_FILE": f"{folder}/coverage", "PYTHONPATH": str(ROOT)}
            for mark, names in (("not slow", FOLDERS), ("slow", SLOW_FOLDERS)):
                command = [sys.executable, "-m", "pytest", *OPTIONS, "-m", mark, *watched, *(f"tests/{one}" for one in names)]
                subprocess.run(command, cwd=ROOT, env=environment, check=True)
            shutil.copy(f"{folder}/coverage", path)
        seen = coverage.CoverageData(str(path))
        seen.read()
        ignored = shutil.ignore_patterns(".*", "results", "build")
        copies = [Path(shutil.copytree(ROOT, Path(folder, str(number)), ignore=ignored)) for number in range(AT_ONCE)]
        shares = []
        for room in asked.rooms:
            modules = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "orchestrator" / room).rglob("*.py"))
            every = [mutant for module in modules for mutant in mutants(module)]
            chosen = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
            tests = [tests_of(mutant, seen) for mutant in chosen]
            unchanged = chosen[0]._replace(source=(ROOT / chosen[0].module).read_text("utf-8"))
            if not [*survive([unchanged], [[*dict.fromkeys(name for names in tests for name in names)]], copies)]:
                raise SystemExit(f"{room}: its tests fail without any change")
            alive = Counter()
            for mutant, names in survive(chosen, tests, copies):
                print(f"{mutant.module}:{mutant.lines[0]}: {mutant.text} ({len(names)} tests)", flush=True)
                alive[mutant.module] += 1
            for module, count in sorted(Counter(mutant.module for mutant in chosen).items()):
                print(f"{module:50} {count - alive[module]:4} of {count:4} mutants killed")
            shares.append(1 - alive.total() / len(chosen))
            print(f"{room}: {shares[-1]:.0%} of {len(chosen)} mutants killed; there are {len(every)}", flush=True)
    return min(shares) < ENOUGH


if __name__ == "__main__":
    sys.exit(main())
