"""How large the project is: statements, functions, files and lines by room, and words by page.

Limits stand in ``pyproject.toml`` under ``[tool.size]``; exit code 1 where one is exceeded.
A room is a package of ``orchestrator/``, its single modules, or another folder of Python.
"""

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = ("tasks", "tests", "benchmarks")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Size(NamedTuple):
    """What Python files come to. A docstring is a statement, as it is to Python."""

    statements: int = 0
    functions: int = 0
    files: int = 0
    lines: int = 0


def rooms() -> Iterator[tuple[str, list[Path]]]:
    """Yield the name of each room and its files."""
    package = ROOT / "orchestrator"
    yield "orchestrator", sorted(package.glob("*.py"))
    inner = [path.parent for path in package.glob("*/__init__.py")]
    for folder in sorted([*inner, *(ROOT / name for name in FOLDERS)]):
        yield folder.name, sorted(folder.rglob("*.py"))


def size_of(files: list[Path]) -> Size:
    """Return the size of files together."""
    found = Size(files=len(files))
    for path in files:
        text = path.read_text("utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        statements = found.statements + sum(isinstance(node, ast.stmt) for node in nodes)
        functions = found.functions + sum(isinstance(node, FUNCTIONS) for node in nodes)
        found = Size(statements, functions, found.files, found.lines + text.count("\n"))
    return found


def whole_package() -> dict[str, int]:
    """Return the size of ``orchestrator/`` as a whole; small functions have one caller and fewer than 6 lines."""
    texts = [path.read_text("utf-8") for path in (ROOT / "orchestrator").rglob("*.py")]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    uses = Counter(node.id if isinstance(node, ast.Name) else node.attr for node in nodes if isinstance(node, ast.Name | ast.Attribute))
    functions = [node for node in nodes if isinstance(node, FUNCTIONS) and not node.decorator_list]
    named = Counter(function.name for function in functions)
    return {
        "statements": sum(isinstance(node, ast.stmt) for node in nodes),
        "files": len(texts),
        "lines of its longest file": max(text.count("\n") for text in texts),
        "small functions": sum(uses[one.name] == named[one.name] == 1 and lines_of(one) < 6 for one in functions),
    }


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def words_of(page: Path) -> int:
    """Return the words of a page, or of all pages of a folder, outside tables."""
    pages = sorted(page.rglob("*.md")) if page.is_dir() else [page] if page.exists() else []
    lines = [line for one in pages for line in one.read_text("utf-8").splitlines()]
    return sum(len(line.split()) for line in lines if not line.lstrip().startswith("|"))


def main() -> int:
    """Print all sizes; return 1 where a limit is exceeded, 0 otherwise."""
    limits = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["size"]
    sizes = {name: size_of(files) for name, files in rooms()}
    words = {name: words_of(ROOT / name) for name in limits["words"]}
    print(f"{'room':24}" + "".join(f"{name:>12}" for name in Size._fields))
    for name, size in sizes.items():
        print(f"{name:24}" + "".join(f"{value:>12,}" for value in size))
    for name, count in words.items():
        print(f"{name:36}{count:>12,} words")
    counts = {"statements": {name: size.statements for name, size in sizes.items()}, "words": words, "package": whole_package()}
    print(*(f"{name:36}{count:>12,} of orchestrator/" for name, count in counts["package"].items()), sep="\n")
    above = [
        f"{name}: {count:,} ({what}), and the limit is {limits[what].get(name, 0):,}"
        for what, found in counts.items()
        for name, count in found.items()
        if count > limits[what].get(name, 0)
    ]
    print(*above, sep="\n", file=sys.stderr, end="\n" if above else "")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
