"""What is known before anything runs is refused by its code, and nothing is written."""

from pathlib import Path

import pytest
from program import ECHO
from refusals import refused

from orchestrator import __main__ as program
from orchestrator.commands import line
from orchestrator.contracts import Code

DEADLINE = ("--deadline", "50 ms")


@pytest.mark.parametrize(
    ("code", "key", "words"),
    [
        ("unknown", "--gate", ["report", "A", "B", "--gate"]),
        ("unknown", "--gaet", ["compare", "A", "B", "--gaet"]),
        ("invalid", "", ["reprot", "DIR"]),
        ("invalid", "", [""]),
        ("invalid", "overrides", ["run", "results"]),
        ("missing", "directory", ["status"]),
        ("missing", "--rounds", ["extend", "a"]),
        ("invalid", "--rounds", ["extend", "a", "--rounds=0"]),
        ("missing", "--run", ["compare", "A", "B", "--to=y"]),
        ("missing", "--gate", ["compare", "a", "b", "--allow-no-verdict"]),
        ("missing", "--figures", ["report", "a", "--only", "x"]),
        ("conflict", "--into", ["report", "a", "--into", "b"]),
        ("conflict", "--check", ["study", "a", "--check", "b", "--to", "c"]),
        ("missing", "--to", ["study", "a", "b"]),
        ("invalid", "FILE", ["bundle", "a", "b.zip"]),
        ("not_found", "FOLDER", ["history", "nowhere"]),
        ("invalid", "--answers", ["capacity", *DEADLINE, "model=a", "--answers", "299"]),
        ("conflict", "load.rate_per_s", ["capacity", *ECHO, *DEADLINE, "load.rate_per_s=3"]),
        ("unsupported", "load", ["capacity", *ECHO, *DEADLINE, "load=closed"]),
        ("invalid", "--deadline", ["capacity", *ECHO, "--deadline", "p95"]),
        ("missing", "--rate", ["replay", "a"]),
        ("missing", "--trace", ["replay", "a", "--rate", "1", "--load", "trace"]),
        ("conflict", "--burstiness", ["replay", "a", "--rate", "1", "--burstiness", "2"]),
        ("unknown", "model", ["model=resnt18", "task=imagenet_samples"]),
        ("unknown", "measurement.bacth", [*ECHO, "measurement.bacth=2"]),
        ("invalid", "measurement.min_rounds", [*ECHO, "measurement.min_rounds=0"]),
        ("missing", "cluster.address", [*ECHO, "cluster=address"]),
        ("missing", "task", ["model=efficientnet_lite0"]),
        ("conflict", "model", [*ECHO, "model=echo,resnet18"]),
        ("not_found", "--config-dir", ["plan", "--config-dir", "nowhere", "+sweep=vision"]),
        ("unsupported", None, [*ECHO, "-m", "system.cores=1,[4000]"]),
        ("unknown", "analysis.slices", ["plan", *ECHO, "analysis.slices=[parity,nope]"]),
        ("missing", "DIR", ["export", "a"]),
        ("conflict", None, ["compare", "--run", "model=echo", "measurement.repeat=2"]),
        ("not_found", None, ["compare", "--run", "nowhere", "model=echo"]),
        ("not_found", None, ["compare", "--run", "model.wrong=[3]", "model.wrong=[3]", *ECHO, "--html=nowhere/page.html"]),
        ("incomparable", None, ["compare", "--run", "model.wrong=[3]", "model.wrong=[3]", *ECHO, "--gate", "cluster=inline"]),
    ],
)  # fmt: skip
def test_a_mistake_has_a_code(code: Code, key: str | None, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with refused(code, key):
        line.run(words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raised", "code"), [(MemoryError(), 1), (OSError(27, "File too large", "r"), 1), (IsADirectoryError(21, "", "r"), 2)]
)
def test_what_the_system_refuses_is_one_line(
    raised: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(words: list[str]) -> int:
        raise raised

    monkeypatch.setattr(line, "run", run)
    assert program.main(["report", "r"]) == code
    assert capsys.readouterr().err.count("\n") == 1
