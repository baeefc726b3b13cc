"""Each verb is one file with its own options, words, help and examples."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import commands
from orchestrator.commands import line
from orchestrator.commands.report import FORMATS
from orchestrator.contracts import InputError
from orchestrator.report.chart_files import FORMATS as FIGURES

Call = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
GREET = """
import click
from orchestrator.commands.line import flag, verb

@verb("greet Ada", "greet Ada --loud")
@click.argument("name", metavar="NAME")
@flag("--loud", help="louder")
def command(name, loud):
    '''Say hello.

    Say hello to somebody.
    '''
    print(f"hello {name}{'!' if loud else ''}")
    return 0
"""
VERBS = line.VERBS.list_commands()


def read(*typed: str) -> dict[str, Any]:
    """What a verb understands of a command line, without doing it."""
    return line.read(typed[0], typed[1:]) if typed[0] in VERBS else line.read("run", typed)


def options_of(verb: str) -> list[str]:
    """The options of a verb, by their longest names."""
    return [name for name in line.options_of(verb) if name.startswith("--")]


def refused(call: Call, *words: str) -> str:
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    (told,) = err.splitlines()
    return told.removeprefix("error: ")


@pytest.mark.parametrize("verb", VERBS)
def test_its_help_is_short_and_its_examples_work(verb: str, call: Call) -> None:
    code, out, err = call(verb, "--help")
    assert (code, err) == (0, "")
    text, _, shown = out.partition("Examples:\n")
    assert len(out.splitlines()) <= 36
    assert all(len(each) <= 100 for each in text.splitlines())
    for option in options_of(verb):
        assert option in text
    examples = [shlex.split(each)[3:] for each in shown.splitlines()]
    assert len(examples) == 2
    for words in examples:
        assert verb in (words[0], "run")
        read(*words)
    assert call("help", verb) == call(verb, "-h") == (0, out, "")


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_the_overview_names_every_verb(words: list[str], call: Call) -> None:
    code, out, err = call(*words)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) <= 40
    for verb in VERBS:
        assert f"\n  {verb} " in out


def test_help_after_overrides_is_that_of_a_run(call: Call) -> None:
    assert call("+sweep=vision", "--help") == call("run", "--help")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["report", "A", "B", "--gate"], "--gate: belongs to compare, not to report; see `python -m orchestrator report --help`"),
        (["compare", "A", "B", "--json=x", "--top=3"], "--top: belongs to inspect, not to compare"),
        (["report", "DIR", "-m"], "-m: belongs to compare, plan, run, not to report"),
        (["plan", "+sweep=vision", "--trust"], "--trust: belongs to capacity, extend, resume, run, not to plan"),
        (["--gate", "+sweep=vision"], "--gate: belongs to compare, not to run"),
        (
            ["compare", "A", "B", "--gaet"],
            "--gaet: there is no such option; did you mean --gate? (see `python -m orchestrator compare --help`)",
        ),
        (["status", "DIR", "-x"], "-x: there is no such option; there are none (see"),
        (["-5"], "-5: there is no such option; there is --cfg, "),
        (["compare", "A", "B", "--to=y"], "--to: says how --run works: add --run"),
        (["compare", "a", "b", "--allow-no-verdict"], "--allow-no-verdict: says how --gate works: add --gate"),
        (["reprot", "DIR"], "reprot: there is no such verb; did you mean report? (or start with KEY=VALUE)"),
        ([""], "'': there is no such verb; there is assess, bundle, capacity, "),
        (["run", "results"], "Invalid value for 'KEY=VALUE...': results is not of this form"),
        (["plan", ""], "Invalid value for 'KEY=VALUE...': '' is not of this form"),
        (["status"], "Missing argument 'DIR'"),
        (["status", "a", "b"], "Got unexpected extra argument (b)"),
        (["status", ""], "Invalid value for 'DIR': an empty word names no folder or file"),
        (["resume", "a", "b", "c", "d"], "resume takes DIR [cluster.address=HOST:PORT], 4 were given (a, b, c)"),
        (["extend", "a"], "Missing option '--rounds'"),
        *((["extend", "a", f"--rounds={many}"], "Invalid value for '--rounds': ") for many in ("0", "9" * 20, "-5", "1.5", "")),
        (["extend", "a", "--rounds"], "Option '--rounds' requires an argument"),
        (["report"], "report takes DIR... [analysis.KEY=VALUE...] [code=[DIR]], none was given"),
        (["bundle", "a"], "bundle takes DIR FILE.tar.zst [analysis.KEY=VALUE...], 1 were given (a)"),
        (["bundle", "a", "b.zip"], "b.zip: must end with .tar.zst, which is what a bundle is"),
        (["history", "a", "--by", "commit"], "Invalid value for '--by': 'commit' is not one of 'time', 'code'"),
        (["assess", "a"], "Missing option '--requirements'"),
        (["study", "a", "--check", "b", "--to", "c"], "--check writes nothing: leave out --fill and --to, or --check"),
        (["study", "a", "b"], "a study of several campaigns belongs into none of them: add --to FOLDER"),
        *(
            (["report", "a", *words], f"{words[0]}: says how --figures works: add --figures")
            for words in (["--only", "x"], ["--width", "3in"], ["--no-title"])
        ),
        (["report", "a", "--figures", "pdf", "--width", "3"], "'3': a width with its unit was expected, such as 3.3in"),
        (["report", "a", "--figures", ""], "Invalid value for '--figures': '': names were expected"),
        (["report", "a", "--figures", "svg,gif"], "Invalid value for '--figures': 'gif': there is no such choice; choose of svg, pdf, png"),
        (["report", "a", "--into", "b"], "--into is for a report of several campaigns"),
        (["report", "a", "b", "--into", ""], "Invalid value for '--into': an empty word names no folder or file"),
        (["capacity", "model=a"], "Missing option '--deadline'"),
        (["capacity", "model=a", "--deadline", "5 ms", "--keep", "nan"], "Invalid value for '--keep': nan is no number"),
        (
            ["capacity", "model=a", "--deadline", "5 ms", "load=closed"],
            "load=closed: has no rate; capacity takes load=periodic, poisson or gamma",
        ),
        (["compare", "a"], "compare takes two sides, 1 given (a): each a results directory, or as A a file of `export baseline`"),
        (["compare", "a", "b", "c"], "compare takes two sides, 3 given"),
    ],
)
def test_a_mistake_is_one_line_that_says_whose_it_is(words: list[str], told: str, call: Call) -> None:
    assert refused(call, *words).startswith(told)


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


def test_a_folder_with_an_equals_sign_in_its_name(call: Call) -> None:
    for path in ("./a=b", "../x=y", "/a=b", "~/a=b"):
        assert read("report", path, "analysis.seed=1")["found"] == (Path(path),)
    assert refused(call, "status", "a=b").startswith("a=b is not there")


def test_a_further_verb_is_one_file(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "greet.py").write_text(GREET)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path / "more")])
    try:
        assert call("greet", "Ada", "--loud") == (0, "hello Ada!\n", "")
        assert "\n  greet     Say hello.\n" in call()[1]
        assert "Usage: python -m orchestrator greet [OPTIONS] NAME" in call("greet", "--help")[1]
        assert refused(call, "status", "--loud").startswith("--loud: belongs to greet, not to status")
        assert refused(call, "greeet").startswith("greeet: there is no such verb; did you mean greet?")
    finally:
        sys.modules.pop("orchestrator.commands.greet", None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("orchestrator rep", "replay report"),
        ("orchestrator report --fig", "--figures"),
        ("orchestrator +sweep=visi", "+sweep=vision"),
        ("orchestrator plan model=resnet5", "model=resnet50"),
        ("orchestrator resume resu", "resu"),  # which the shell completes as a path
        ("orchestrator rum x", ""),
        ("orchestrator help r", ""),
    ],
)
def test_shells_complete_verbs_options_and_names(words: str, told: str) -> None:
    environment = {**os.environ, "_ORCHESTRATOR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    script = "from orchestrator.__main__ import program; program()"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=600, check=True)
    assert set(told.split()) <= {line.partition(",")[2] for line in done.stdout.splitlines()}
    assert (bool(done.stdout.strip()), done.stderr) == (bool(told), "")


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
    found = [words for page in PAGES for words in command_lines(page)]
    assert len(found) > 30
    for words in found:
        if not {"--help", "--version"} & set(words):
            read(*words)


def test_formats_are_those_that_are_written() -> None:
    assert FIGURES == FORMATS


def test_every_option_of_another_verb_is_told() -> None:
    every = {option for verb in VERBS for option in options_of(verb)}
    for verb in VERBS:
        for option in every - set(options_of(verb)):
            with pytest.raises(InputError) as caught:
                line.run([verb, "a", option])
            owners = [other for other in VERBS if option in options_of(other)]
            assert str(caught.value).startswith(f"{option}: belongs to {', '.join(owners)}, not to {verb}; ")
