"""Command lines and YAML files with values at random: each plans, or is told in one line with exit code 2, and never in a traceback."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from effort import EFFORT

from orchestrator.__main__ import main
from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.config import BLOCKS, PLAIN_KEYS, schema_keys

SUPPORT = Path(__file__).parents[1] / "support"
WORDS = ["plan", "--quiet", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "model=echo"]
MUTATIONS = 50 * EFFORT
KEYS = [f"{block}.{key}" for block in BLOCKS for key in sorted(schema_keys(block))] + list(PLAIN_KEYS)
OPTIONS = [
    "model.sleep_ms",
    "model.wrong",
    "model.raises_on",
    "task.count",
    "system.labels.zone",
    "system.paths.task",
    "analysis.deadline.quality",
]
VALUES = [
    "", "null", "true", "0", "-1", "1", "2.5", "1e400", "-0.0", "nan", "inf", "99999999999999999999", "abc", "'a b'", "[]", "[1,1]", "[a,b]",
    "[[1]]", "{}", "{a: 1}", "{a: {b: [c]}}", "..", "../../etc", "/", "a/b", "'a\\\\b'", "ä", "\\u202e", "名前", "x" * 300, "'<b>'", "${model.name}",
    "${nope}", "${oc.env:HOME}", "${", "'%s'", "a=b", "a,b", "1,2", "range(1,3)", "choice(1,2)", "'\"'", "'; rm -rf /'", "\x00", "null.null", "-",
    "cpu", "cuda:0", "cuda:-1", "GPU-", "p95", "50 ms", "settled", "local", "fp8", "bytes",
]  # fmt: skip

Plans = Callable[..., None]

FILES = sorted(path for group in (*BLOCKS, "sweep") for path in (shipped_folder() / group).rglob("*.yaml"))
HOSTILE = [
    "", "null", "~", "true", "0", "-1", "-1.5", "2.5", ".inf", "-.inf", ".nan", "1e400", "99999999999999999999",
    "[]", "{}", "[null]", "[[], {}]", "[[1, 2], {a: [b]}]", "{1: 2}", "{null: 1}", "{true: 1}", "{a: {b: {c: 1}}}", "{? [a] : 1}",
    "*nobody",
    '"\\uD800"', '"a\\uDFFFb"', '{"\\uD800": 1}', '["\\uDC00"]', '"\\0"', '"\\n"', '"a\\nb"', '"\\t"', '"\\e[31m"', "名前", '"\\u202e"', "''", "' '",
    "!!binary aGVsbG8=", "[!!binary aGVsbG8=]", "!!binary '*'", "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2020-01-01", "2020-01-01", "12:30:45",
    "!!python/object/apply:os.getcwd []", "!!python/object/apply:pathlib.Path [a]", "!nothing x", "!!int x", "!!float x", "!!null x",
    "x" * 100_000, "..", "../../etc/passwd", "/", "/dev/null", "a/b", "'a\\b'", "~root", "C:\\x", "a b", "-", "'-x'", "a:b", "orchestrator.configuration.config:nearest",
    "${name}", "${nope}", "${", "'${oc.env:HOME}'", "'${a: b}'", "???", "'???'", "a,b", "'*'", "'[a'", "[a", "}", "@a", "%a", "'%s'", "'{0}'", "<<", "a: b",
]  # fmt: skip
"""As they stand in a YAML file."""


@pytest.fixture
def plans(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plans:
    """Plan one command line in an empty folder: a plan, or one line. What is given besides tells which it was."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def plan(words: list[str], *which: object) -> None:
        code = main(words)
        told = capsys.readouterr().err
        assert code in (0, 2), (which, words, code)
        if code == 2:
            assert told.startswith("error: "), (which, words, told)
            assert len(told.strip().splitlines()) == 1, (which, words, told)
        assert "Traceback" not in told, (which, words)
        assert list(folder.iterdir()) == []

    return plan


def mutated(chance: random.Random) -> list[str]:
    """One to three keys with values at random; now and then a key that does not exist."""
    words = []
    for _ in range(chance.randint(1, 3)):
        key = chance.choice(KEYS + OPTIONS)
        if chance.random() < 0.15:
            place = chance.randrange(len(key))
            key = key[:place] + chance.choice("xyz._-/ é") + key[place + 1 :]
        words.append(f"{chance.choice(['', '', '', '+', '++', '~'])}{key}={chance.choice(VALUES)}")
    return words


@pytest.mark.slow
@pytest.mark.parametrize("tenth", range(10))
def test_each_plans_or_is_in_one_line(tenth: int, plans: Plans) -> None:
    for seed in range(tenth * MUTATIONS // 10, (tenth + 1) * MUTATIONS // 10):
        plans([*WORDS, *mutated(random.Random(seed))], seed)


def places(data: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key of a YAML file, at every depth."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            if isinstance(data, dict):
                yield (*path, key)
            yield from places(value, (*path, key))


def with_hostile(data: object, path: tuple[Any, ...], hostile: str) -> str:
    """A YAML file with the value of one key replaced."""
    changed: Any = copy.deepcopy(data)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = "HOSTILE"
    return yaml.safe_dump(changed, allow_unicode=True).replace("HOSTILE", hostile)


def around(group: str, data: dict[str, Any]) -> list[str]:
    """Words that choose the mutated file, and what fits it, so that the look at it goes as far as it can."""
    fitting = {"model": f"task.kind={data.get('kind')}", "task": f"model.kind={data.get('kind')}"}
    words = [f"{'+' if group == 'sweep' else ''}{group}=mutated", *([fitting[group]] if group in fitting else [])]
    if group != "cluster":
        return [*words, "cluster=inline"]
    return [*words, "cluster.name=inline"] if data["name"] == "address" else words  # a look at a cluster would wait for it


@pytest.mark.slow
@pytest.mark.parametrize("group", [*BLOCKS, "sweep"])
def test_each_file_plans_or_is_in_one_line(group: str, plans: Plans, tmp_path: Path) -> None:
    """Keys of every shipped file get one hostile value each, dealt in turn, so that every value gets to many keys.

    One key in three at random, or all of them in a longer run.
    """
    deck = random.Random(group)
    own = tmp_path / "own" / group / "mutated.yaml"
    own.parent.mkdir(parents=True)
    hand: list[str] = []
    for path in (path for path in FILES if path.relative_to(shipped_folder()).parts[0] == group):
        data = yaml.safe_load(path.read_text())
        for place in places(data):
            if deck.random() * 3 > EFFORT:
                continue
            hand = hand or deck.sample(HOSTILE, len(HOSTILE))
            hostile = hand.pop()
            own.write_text(with_hostile(data, place, hostile))
            plans([*WORDS, "--config-dir", str(tmp_path / "own"), *around(group, data)], path.name, place, hostile[:80])
