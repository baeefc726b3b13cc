"""What every verb prints: its usual output, its help and its refusals, as the golden file of each verb has it.

``pytest tests/golden --update-golden`` runs the command lines of each file and writes what they print.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
import stored_corpus
from golden import commands_in, transcript

from orchestrator.commands.line import VERBS

HERE = Path(__file__).parent
SUPPORT = HERE.parent / "support"
FILES = sorted(HERE.glob("*.txt"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = stored_corpus.unpack(tmp_path_factory.mktemp("golden"))
    for name in ("conf", "code"):
        shutil.copytree(SUPPORT / name, folder / "null" / name)
    return folder


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_output_is_that_of_the_golden_file(
    path: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    expected = path.read_text("utf-8")
    asked = set(re.findall(r"\bc/(\w+)", expected))

    def others(folder: str, names: list[str]) -> set[str]:
        return set(names) - asked if folder == str(corpus / "c") else set()

    folder = shutil.copytree(corpus, tmp_path / "work", copy_function=os.link, ignore=others)
    found = transcript(commands_in(expected), folder)
    if request.config.getoption("--update-golden"):
        path.write_text(found, "utf-8")
    else:
        assert found == expected, f"if the output is meant to change, run `pytest {path.parent} --update-golden`"


def test_every_verb_has_a_golden_file() -> None:
    assert {path.stem for path in FILES} == {*VERBS.list_commands(), "overview"}
