"""Change a module in small ways, and count the changes that its tests notice.

``python benchmarks/mutation.py MODULE.py TESTS... [--sample 40] [--seed 0]`` mutates a copy of the repository: comparisons,
arithmetic, ``and``/``or``, conditions and numbers. It prints every mutant that survives, and the share that was killed.
Run it by hand over orchestrator/measurement, storage and running; at least 80 % should be killed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
TIMEOUT_S = 600
"""A mutant that hangs is killed."""


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


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, what stands there instead, and the whole source of every mutant."""
    tree = ast.parse(source)
    count = sum(1 for _ in ast.walk(tree))
    for place in range(count):
        tree = ast.parse(source)
        node = [*ast.walk(tree)][place]
        new = changed(node)
        if new is not None:
            node.__dict__.update(new.__dict__)
            yield node.lineno, ast.unparse(new).splitlines()[0], ast.unparse(ast.fix_missing_locations(tree))


def is_killed(copied: Path, tests: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copied)}
    try:
        return subprocess.run(command, cwd=copied, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("module")
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    every = [*mutants((ROOT / asked.module).read_text("utf-8"))]
    chosen = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(shutil.copytree(ROOT, Path(folder) / "copy", ignore=shutil.ignore_patterns(".git", ".venv", "results", "build")))
        if is_killed(copied, asked.tests):
            raise SystemExit("the tests fail without any change")
        killed = 0
        for line, text, source in chosen:
            (copied / asked.module).write_text(source, "utf-8")
            noticed = is_killed(copied, asked.tests)
            killed += noticed
            if not noticed:
                print(f"{asked.module}:{line}: {text}", flush=True)
    print(f"{killed} of {len(chosen)} mutants killed ({killed / len(chosen):.0%}); there are {len(every)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
