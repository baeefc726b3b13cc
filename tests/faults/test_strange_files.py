"""Stored files whose checksum fits and whose content is not what the program writes: every verb that reads answers in one line or a table."""

import contextlib
import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from effort import EFFORT
from small_campaign import measure_small, read_document, reseal_json, reseal_table, write_sealed

import orchestrator
from orchestrator.__main__ import main
from orchestrator.analysis.table import tables
from orchestrator.contracts import InputError

MUTATIONS = 40 * EFFORT

Place = tuple[str | int, ...]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two campaigns, a baseline and what `report` writes."""
    folder = tmp_path_factory.mktemp("pristine")
    measure_small(folder / "a")
    measure_small(folder / "b", day=2)
    assert main(["report", str(folder / "a")]) == 0
    assert main(["export", "baseline", str(folder / "baseline.json"), str(folder / "a")]) == 0
    return folder


def strange_values(chance: random.Random) -> Any:
    return chance.choice(
        [
            None, True, False, -1, 0, 1, 2**31, -(2**63), 2**64, 10**30, 10**400, 1e308, -1e-308, float("nan"), float("inf"), "", " ", "x" * 10_000,
            "1", "nan", "\ud800", "\x00", "../x", "2026-13-01", [], {}, [[]], [None], ["x"], {"a": {"b": [1]}}, [{"a": 1}], [1, "x", None],
            [[[[[]]]]], {"": ""}, {"cores": 7}, [1e400], deep(500),
        ]
    )  # fmt: skip


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from places(below, (*at, key))


def value_at(document: Any, at: Place) -> Any:
    for key in at:
        document = document[key]
    return document


def mutate_document(document: Any, chance: random.Random) -> tuple[Any, str]:
    """Return a changed copy, and in words what was changed."""
    changed = copy.deepcopy(document)
    at = chance.choice(list(places(changed))[1:])
    holder, key = value_at(changed, at[:-1]), at[-1]
    old = holder.pop(key) if isinstance(holder, dict) else holder[key]
    new = chance.choice([strange_values(chance), {"x": old}, [old], value_at(document, chance.choice(list(places(document)))), ...])
    if new is not ...:  # else a key of a mapping is gone
        holder[key] = copy.deepcopy(new)
    return changed, f"{'.'.join(map(str, at))} -> {str(new)[:60]}"


def mutate_text(path: Path, document: Any, chance: random.Random) -> str:
    text = json.dumps(document, indent=1)
    place = chance.randrange(1, len(text))
    changed = chance.choice(
        [
            text[:place] + "\n}", text[:place], text[:place] + text[place // 2 :], "[" * 100_000 + "\n}", f'{{"a": {"[" * 50_000}{"]" * 50_000}\n}}',
            "{\n}", "[]", "1", "\n}", "\ufeff" + text, '{"schema_version": "x"\n}', text.replace('"', "'"), text.replace(": ", ": 1e999"),
        ]
    )  # fmt: skip
    write_sealed(path, changed)
    return f"text cut or changed at {place}"


STRANGE_TYPES: list[Callable[[pa.ChunkedArray], Any]] = [
    lambda column: column.cast(pa.string()),
    lambda column: column.cast(pa.large_string()),
    lambda column: column.cast(pa.float64()),
    lambda column: column.cast(pa.int8()),
    lambda column: column.cast(pa.uint64()),
    lambda column: column.cast(pa.string()).dictionary_encode(),
    lambda column: column.dictionary_encode(),
    lambda column: pa.array([[value] for value in column.to_pylist()]),
    lambda column: pa.array([{"x": value} for value in column.to_pylist()]),
    lambda column: pa.array([[("x", 1.0)]] * len(column), pa.map_(pa.string(), pa.float64())),
    lambda column: pa.nulls(len(column), column.type),
    lambda column: pa.nulls(len(column)),
    lambda column: pa.array([-1] * len(column)),
    lambda column: pa.array([2**62] * len(column)),
    lambda column: pa.array([2**62] * len(column)).cast(column.type),
    lambda column: pa.array([float("nan")] * len(column)),
    lambda column: pa.array([-(2**31)] * len(column)).cast(column.type),
    lambda column: pa.array([b"\xff\xfe"] * len(column)),
    lambda column: pa.array(["\x1b[31m"] * len(column)),
    lambda column: pa.array([True] * len(column)),
    lambda column: pa.array([deep(20)] * len(column)),
    lambda column: pa.array([0] * len(column), pa.timestamp("ns")),
    lambda column: pa.array([2**62] * len(column), pa.timestamp("us", tz="UTC")),
    lambda column: pa.array([-(2**62)] * len(column), pa.timestamp("s", tz="Mars/Olympus")),
]


def mutate_table(table: pa.Table, chance: random.Random) -> tuple[pa.Table, str]:
    name = chance.choice(table.column_names)
    at = table.column_names.index(name)
    order = pa.array(chance.sample(range(table.num_rows), table.num_rows), pa.int64())
    whole = {
        "dropped": lambda: table.drop_columns([name]),
        "renamed": lambda: table.rename_columns([f"{other}_x" if other == name else other for other in table.column_names]),
        "first row again": lambda: pa.concat_tables([table, table.slice(0, 1)]),
        "first row gone": lambda: table.slice(1),
        "no rows": lambda: table.slice(0, 0),
        "shuffled": lambda: table.take(order),
        "a column more": lambda: table.append_column("score_x", pa.array(["x"] * table.num_rows)),
        "twice": lambda: table.append_column(name, table.column(name)),
    }
    if chance.random() < 0.5:
        kind = chance.choice(list(whole))
        return whole[kind](), f"{name}: {kind}"
    while True:
        place = chance.randrange(len(STRANGE_TYPES))
        with contextlib.suppress(pa.ArrowException, TypeError, ValueError):
            return table.set_column(at, name, STRANGE_TYPES[place](table.column(name))), f"{name} of strange type {place}"


def mutate(path: Path, chance: random.Random) -> str:
    """Change one file, with a seal that fits, and return what was done."""
    if path.suffix == ".json":
        document = read_document(path)
        if chance.random() < 0.15:
            return mutate_text(path, document, chance)
        changed, told = mutate_document(document, chance)
        reseal_json(path, changed)
        return told
    whole = pq.read_table(path)
    while True:
        table, told = mutate_table(whole, chance)
        options = chance.choice([{}, {"row_group_size": 1}, {"use_dictionary": True}, {"store_schema": False}])
        try:
            reseal_table(path, table, **options)
        except pa.ArrowException:  # what Parquet cannot hold, no stranger can write
            continue
        return told


def commands(folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Return commands that only read, and those that compute everything."""
    a, b, out = str(folder / "a"), str(folder / "b"), str(folder / "out")
    trial = sorted(path.name for path in (folder / "a" / "trials").iterdir())[0]
    light = [["status", a], ["inspect", a, trial], ["export", a, "--to", out, "--format", "parquet"]]
    heavy = [
        ["report", a],
        ["compare", a, b, "--gate", "--power", "--markdown", f"{out}.md", "--json", f"{out}.json", "--html", f"{out}.html"],
        ["compare", b, a],
        ["export", a, "--to", out, "--format", "csv,latex"],
        ["export", "baseline", f"{out}-baseline.json", a],
        ["report", a, b, "--into", f"{out}-both"],
    ]
    return light, heavy


def outcome(words: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """Return what is wrong with how a command ended, or None."""
    capsys.readouterr()
    try:
        code = main(words)
    except Exception as error:
        return f"{words[0]}: {type(error).__name__}: {str(error)[:200]}"
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    if code not in (0, 1, 2, 3) or len(errors) > 1 or len(err.splitlines()) > 1 or "Traceback" in out + err:
        return f"{words[0]}: exit code {code}, {err[:300]}"
    if code == 2 and len(errors) != 1:
        return f"{words[0]}: exit code 2 without a word"
    if not all(line.isprintable() for line in (out + err).split("\n")):
        return f"{words[0]}: control characters on the terminal"
    return None


@pytest.mark.slow
def test_no_verb_ends_in_a_traceback(pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "work"
    wrong = []
    names = sorted(str(path.relative_to(pristine)) for path in pristine.rglob("*") if path.suffix in (".json", ".parquet"))
    names = [name for name in names if not name.startswith("b/")]
    kinds = sorted({Path(name).name for name in names})
    for seed in range(MUTATIONS):
        chance = random.Random(seed)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(pristine, folder)
        kind = kinds[seed % len(kinds)]
        path = folder / chance.choice([name for name in names if Path(name).name == kind])
        told = mutate(path, chance)
        light, heavy = commands(folder)
        if path.name == "baseline.json":
            chosen = [["compare", str(path), str(folder / "b"), "--power"]]
        elif path.stem in tables():  # no verb reads them, but scripts do
            chosen = []
            try:
                orchestrator.open(path.parent).table(path.stem).to_pylist()
            except InputError:
                pass
            except Exception as error:
                wrong.append((seed, path.name, told, repr(error)))
        else:
            chosen = [*light, heavy[seed % len(heavy)]]
        found = [complaint for words in chosen if (complaint := outcome(words, capsys)) is not None]
        if found:
            wrong.append((seed, str(path.relative_to(folder)), told, found))
    assert not wrong, "\n".join(map(str, wrong))
