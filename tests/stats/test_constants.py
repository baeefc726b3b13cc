from __future__ import annotations

import ast
from pathlib import Path

from orchestrator.stats import constants

TREE = ast.parse(Path(constants.__file__).read_text())


def names() -> list[str]:
    """Return the constants in order, one name per target."""
    targets = [target for one in TREE.body if isinstance(one, ast.Assign) for target in one.targets]
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def test_each_constant_has_one_value() -> None:
    assert len(names()) == len(set(names())) > 10


def test_each_constant_has_its_source_above_it() -> None:
    lines = Path(constants.__file__).read_text().splitlines()
    said = [lines[one.lineno - 2].startswith("# ") for one in TREE.body if isinstance(one, ast.Assign)]
    assert said
    assert all(said)
