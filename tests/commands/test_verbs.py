"""Each verb is one file with its own options, words, help and examples."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from program import Call

from orchestrator.commands import line
from orchestrator.configuration.composition import compose_trials

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
VERBS = line.VERBS.list_commands()
# What a reader has made, or is to name
THEIRS = re.compile(r"my_conf|MODEL|sweep=mine|--info")


def read(*typed: str) -> dict[str, Any]:
    """What a verb understands of a command line, without doing it."""
    return line.read(typed[0], typed[1:]) if typed[0] in VERBS else line.read("run", typed)


def options_of(verb: str) -> list[str]:
    """The options of a verb, by their longest names."""
    return [name for name in line.options_of(verb) if name.startswith("--")]


@pytest.mark.parametrize("verb", VERBS)
def test_its_help_is_short_and_its_examples_work(verb: str, call: Call) -> None:
    code, out, err = call(verb, "--help")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) <= 36
    text, _, shown = out.partition("Examples:\n")
    assert all(len(each) <= 100 for each in text.splitlines())
    assert all(option in text for option in options_of(verb))
    examples = [shlex.split(each)[3:] for each in shown.splitlines()]
    assert [bool(read(*words)) and verb in (words[0], "run") for words in examples] == [True, True]
    assert call("help", verb) == call(verb, "-h") == (0, out, "")


def test_options_stand_before_and_after_and_between_words() -> None:
    wanted = read("compare", "a", "b", "analysis.seed=1", "--gate", "--json", "c.json")
    for words in (
        ["--gate", "a", "--json=c.json", "b", "analysis.seed=1"],
        ["--json=x", "--gate", "--json", "c.json", "--", "a", "b", "analysis.seed=1"],
    ):
        assert read("compare", *words) == wanted
    assert read("compare", "--", "--gate", "-m")["words"] == ("--gate", "-m")


def test_a_run_needs_no_verb() -> None:
    for words in (["model=a,b", "task=c", "-m"], ["-m", "model=a,b", "task=c"], ["run", "--multirun", "model=a,b", "task=c"]):
        options = read(*words)
        assert (options["overrides"], options["multirun"]) == (("model=a,b", "task=c"), True)
    options = read("+group@here=name", "~key", "~key=x", "++a.b='c=d e'")
    assert options["overrides"][0] == "+group@here=name"


def test_a_folder_with_an_equals_sign_in_its_name() -> None:
    for path in ("./a=b", "../x=y", "/a=b", "~/a=b"):
        assert read("report", path, "analysis.seed=1")["found"] == (Path(path),)


@pytest.mark.slow
def test_shells_complete_verbs_options_and_names() -> None:
    asked = {
        "orchestrator rep": {"replay", "report"},
        "orchestrator report --fig": {"--figures"},
        "orchestrator +sweep=visi": {"+sweep=vision"},
        "orchestrator plan model=resnet5": {"model=resnet50"},
        "orchestrator rum x": set(),
    }
    script = "from orchestrator.__main__ import program; program()"
    for words, names in asked.items():
        place = str(len(words.split()) - 1)
        environment = {**os.environ, "_ORCHESTRATOR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": place}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=600, check=True)
        assert {line.partition(",")[2] for line in done.stdout.splitlines()} >= names
        assert (bool(done.stdout.strip()), done.stderr) == (bool(names), "")


@pytest.mark.slow
def test_help_imports_nothing_that_takes_long(tmp_path: Path) -> None:
    code = (
        "import sys; from orchestrator.__main__ import main; from orchestrator.commands.line import VERBS; "
        "codes = [main([]), *(main([verb, '--help']) for verb in VERBS.list_commands()), main(['report', 'A', '--gate'])]; assert set(codes) == {0, 2}; "
        "heavy = {'pyarrow', 'numpy', 'scipy', 'hydra', 'omegaconf', 'ray', 'pydantic', 'rich', 'torch', 'platformdirs', 'yaml'}; "
        "print('imported:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"


def command_lines(page: Path) -> list[list[str]]:
    """Every command of this program in the code blocks of a page."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    commands = [text for block in blocks for text in block.splitlines() if re.match(r"(python -m )?orchestrator ", text)]
    told = [shlex.split(command, comments=True) for command in commands]
    return [words[words.index("orchestrator") + 1 :] for words in told]


def test_every_command_of_the_documentation_is_understood() -> None:
    found = [words for page in PAGES for words in command_lines(page) if not {"--help", "--version"} & set(words)]
    assert len(found) > 30
    for words in found:
        asked = read(*words)
        if {"overrides", "multirun"} <= asked.keys() and not THEIRS.search(shlex.join(words)):
            compose_trials(asked["overrides"], asked["multirun"])
