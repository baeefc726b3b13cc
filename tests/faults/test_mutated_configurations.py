"""Command lines with values at random: each plans, or is told in one line with exit code 2. Nothing ends in a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from orchestrator.__main__ import main
from orchestrator.keys import BLOCKS, PLAIN_KEYS, schema_keys

SUPPORT = Path(__file__).parents[1] / "support"
WORDS = ["plan", "--quiet", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "model=echo"]
MUTATIONS = 300
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
def test_each_plans_or_is_told_in_one_line(
    tenth: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(tenth * MUTATIONS // 10, (tenth + 1) * MUTATIONS // 10):
        words = mutated(random.Random(seed))
        code = main([*WORDS, *words])
        told = capsys.readouterr().err
        assert code in (0, 2), (seed, words, code)
        if code == 2:
            assert told.startswith("error: "), (seed, words, told)
            assert len(told.strip().splitlines()) == 1, (seed, words, told)
        assert "Traceback" not in told, (seed, words)
    assert list(tmp_path.iterdir()) == []
