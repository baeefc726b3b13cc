"""Each verb is one file with its own options, words, help and examples."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import line, verbs
from orchestrator.commands.verbs.report import FORMATS
from orchestrator.contracts import InputError
from orchestrator.report.chart_files import FORMATS as FIGURES

Call = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
GREET = """
SUMMARY = "say hello"
ABOUT = "Say hello to somebody."
WORDS = "NAME"
EXAMPLES = ("greet Ada", "greet Ada --loud")

def add_options(parser):
    parser.flag("--loud", help="louder")

def read(line):
    return line.words, line.options.loud

def execute(options):
    (name,), loud = options
    print(f"hello {name}{'!' if loud else ''}")
    return 0
"""


def read(*typed: str) -> object:
    """What a verb understands of a command line, without doing it."""
    name, rest = line.find_verb(typed)
    assert name is not None
    return line.load(name).read(line.parse(name, rest, typed))


def refused(call: Call, *words: str) -> str:
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    (told,) = err.splitlines()
    return told.removeprefix("error: ")


@pytest.mark.parametrize("verb", line.names())
def test_its_help_is_short_and_its_examples_work(verb: str, call: Call) -> None:
    code, out, err = call(verb, "--help")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) <= 20
    assert all(len(each) <= 80 for each in lines)
    for option in line.parser_of(verb).main_names:
        assert option in out
    examples = [each.strip() for each in out.partition("examples:\n")[2].replace("\\\n", " ").splitlines()]
    assert len(examples) == 2
    for example in examples:
        words = shlex.split(example.removeprefix("python -m orchestrator "))
        assert line.find_verb(words)[0] == verb
        read(*words)
    assert call("help", verb) == call(verb, "-h") == (0, out, "")


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"], ["--quiet", "--help"]])
def test_the_overview_names_every_verb(words: list[str], call: Call) -> None:
    code, out, err = call(*words)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) <= 32
    for verb in line.names():
        assert f"\n  {verb} " in out


def test_help_after_overrides_is_that_of_a_run(call: Call) -> None:
    assert call("+sweep=vision", "--help") == call("run", "--help")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["report", "A", "B", "--gate"],
            "--gate: belongs to compare; report takes --figures, --only, --style, --width, --no-title, --full, --into; see `orchestrator report --help`",
        ),
        (["status", "DIR", "--figures", "svg"], "--figures: belongs to report; status takes no option; see `orchestrator status --help`"),
        (["status", "DIR", "--retry-failed"], "--retry-failed: belongs to resume; status takes no option"),
        (["compare", "A", "B", "--json=x", "--top=3"], "--top: belongs to inspect; compare takes --run, "),
        (["compare", "A", "B", "--to=y"], "--to says how --run measures: add --run"),
        (["resume", "DIR", "--rounds", "3"], "--rounds: belongs to extend; resume takes --retry-failed, "),
        (["report", "DIR", "-m"], "-m: belongs to compare, plan and run; report takes"),
        (["plan", "+sweep=vision", "--trust"], "--trust: belongs to capacity, extend, resume and run; plan takes"),
        (["--gate", "+sweep=vision"], "--gate: belongs to compare; run takes"),
        (["compare", "A", "B", "--gaet"], "--gaet: there is no such option; did you mean --gate? see `orchestrator compare --help`"),
        (["compare", "A", "B", "--zzz"], "--zzz: there is no such option; compare takes --run, "),
        (["status", "DIR", "-x"], "-x: there is no such option; status takes no option; see"),
        (["reprot", "DIR"], "reprot: there is no such verb; did you mean report? Or choose one of assess, bundle, capacity, "),
        ([""], "'': there is no such verb; choose one of assess, bundle, capacity, "),
        (["-5"], "-5: run takes KEY=VALUE only"),
        (["run", "results"], "results: run takes KEY=VALUE only"),
        (["plan", ""], "'': plan takes KEY=VALUE only"),
        (["doctor", "system=cpu_all", "here"], "here: doctor takes KEY=VALUE only"),
        (["status"], "status takes one results directory, none was given: name one, such as results/latest"),
        (["status", "a", "b"], "status takes one results directory, 2 were given (a, b): name one"),
        (["status", ""], "'': an empty word names nothing"),
        (["status", "a", "system=x"], "system=x: status takes no KEY=VALUE; leave it out, or write ./system=x for a folder of that name"),
        (["resume", "a", "b", "c", "d"], "resume takes one results directory, 4 were given (a, b, c, ...): name one"),
        (["extend", "a"], "extend needs --rounds N"),
        (["extend", "a", "--rounds", "0"], "argument --rounds: '0': must be a whole number from 1 to 1,000,000,000"),
        (["extend", "a", "--rounds", "9" * 20], f"argument --rounds: '{'9' * 20}': must be a whole number from 1 to 1,000,000,000"),
        (["extend", "a", "--rounds", "-5"], "argument --rounds: '-5': must be a whole number from 1 to 1,000,000,000"),
        (["extend", "a", "--rounds", "1.5"], "argument --rounds: '1.5': must be a whole number from 1 to 1,000,000,000"),
        (["extend", "a", "--rounds"], "argument --rounds: expected one argument"),
        (["report"], "report takes one results directory or more, none was given"),
        (["study"], "study takes one results directory or more, none was given"),
        (
            ["bundle", "a"],
            "bundle takes a results directory and a file to write, 1 was given (a): such as `bundle results/latest evidence.tar.zst`",
        ),
        (["bundle", "a", "b.zip"], "b.zip: must end with .tar.zst, which is what a bundle is"),
        (["verify"], "verify takes one bundle, none was given: name a file that `bundle` has written"),
        (["verify", "a", "b"], "verify takes one bundle, 2 were given (a, b)"),
        (["history"], "history takes one folder that holds campaigns, none was given: name one, such as results/vision"),
        (["history", "a", "--by", "commit"], "argument --by: invalid choice: 'commit'"),
        (["assess"], "assess takes one results directory or more, none was given: name one, such as results/latest"),
        (["assess", "a"], "assess needs --requirements FILE; docs/requirements.md says how one is written"),
        (["study", "a", "--check", "b", "--to", "c"], "--check writes nothing: leave out --fill and --to, or --check"),
        (["study", "a", "b"], "a study of several campaigns belongs into none of them: add --to FOLDER"),
        (["report", "a", "--only", "x"], "--only x: chooses among the figures that --figures writes; add --figures svg"),
        (["report", "a", "--width", "3in"], "--width: says how the files of --figures look; add --figures pdf"),
        (["report", "a", "--no-title"], "--no-title: says how the files of --figures look; add --figures pdf"),
        (["report", "a", "--figures", "pdf", "--width", "3"], "argument --width: '3': a width with its unit was expected, such as 3.3in"),
        (["report", "a", "--figures", "pdf", "--width", "1mm"], "argument --width: '1mm': a figure must be 1.5 to 40 inches wide"),
        (["report", "a", "--figures", "pdf", "--style", "poster"], "argument --style: invalid choice: 'poster'"),
        (["report", "a", "--figures", ""], "argument --figures: '': names were expected"),
        (["report", "a", "--figures", "svg,gif"], "argument --figures: 'gif': there is no such choice; choose of svg, pdf, png"),
        (["report", "a", "--into", "b"], "--into is for a report of several campaigns"),
        (["report", "a", "b", "--into", ""], "argument --into: a folder or file was expected, and there is no name: give one"),
        (["capacity", "model=a"], "capacity needs --deadline TIME"),
        (
            ["capacity", "model=a", "--deadline", "5 ms", "load=closed"],
            "load=closed: has no rate; capacity takes load=periodic, poisson or gamma",
        ),
        (["compare", "a"], "compare takes a baseline (a results directory or a file of `export baseline`) and"),
        (["compare", "a", "b", "c"], "compare takes a baseline"),
        (["compare", "a", "b", "--allow-no-verdict"], "--allow-no-verdict says how --gate counts: add --gate"),
        (["inspect"], "inspect takes a results directory and a trial, none was given"),
    ],
)
def test_a_mistake_is_one_line_that_says_whose_it_is(words: list[str], told: str, call: Call) -> None:
    assert refused(call, *words).startswith(told)


def test_options_stand_before_and_after_and_between_words(call: Call) -> None:
    wanted = read("compare", "a", "b", "analysis.seed=1", "--gate", "--json", "c.json")
    for words in (
        ["--gate", "--json", "c.json", "compare", "a", "b", "analysis.seed=1"],
        ["compare", "--gate", "a", "--json=c.json", "b", "analysis.seed=1"],
        ["--json", "c.json", "compare", "a", "--gate", "b", "analysis.seed=1"],
        ["compare", "--gate", "--json=x", "--json", "c.json", "--", "a", "b", "analysis.seed=1"],
        ["--gate", "--json=c.json", "--", "compare", "a", "b", "analysis.seed=1"],
    ):
        assert read(*words) == wanted
    assert read("compare", "--", "--gate", "-m") == read("compare", "--", "--gate", "-m")
    assert read("compare", "--", "--gate", "-m").baseline == Path("--gate")  # type: ignore[attr-defined]


def test_a_run_needs_no_verb_and_keeps_what_was_typed() -> None:
    for words in (["model=a,b", "task=c", "-m"], ["-m", "model=a,b", "task=c"], ["--multirun", "run", "model=a,b", "task=c"]):
        options = read(*words)
        assert (options.overrides, options.multirun, options.command) == (("model=a,b", "task=c"), True, tuple(words))  # type: ignore[attr-defined]
    options = read("--config-dir", "plan", "--config-dir=y", "plan", "+sweep=x", "--many")
    assert (options.config_dirs, options.many) == ((Path("plan"), Path("y")), True)  # type: ignore[attr-defined]
    options = read("report", "a", "--figures", "svg,pdf", "--figures=png", "--only", "x", "--only", "y")
    assert (options.figures, options.only) == (("svg", "pdf", "png"), ("x", "y"))  # type: ignore[attr-defined]
    assert (options.style, options.width, options.title) == (None, None, True)  # type: ignore[attr-defined]
    options = read("report", "a", "--figures", "pdf", "--style", "paper", "--width", "84mm", "--no-title")
    assert (options.style, round(options.width, 3), options.title) == ("paper", 3.307, False)  # type: ignore[attr-defined]


def test_a_folder_with_an_equals_sign_in_its_name(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    assert refused(call, "report", "a=b") == "a=b: is read as KEY=VALUE, and a folder or file has that name; write ./a=b for that one"
    (tmp_path / "a=$b c").mkdir()
    assert refused(call, "report", "a=$b c").endswith("write './a=$b c' for that one")
    for path in ("./a=b", "../x=y", str(tmp_path / "a=b"), "~/a=b"):
        assert read("report", path, "analysis.seed=1").directories == (Path(path),)  # type: ignore[attr-defined]
    long = f"analysis.thresholds_ms=[{','.join(map(str, range(1, 200)))}]"
    assert read("report", "r", long).overrides == (long,)  # type: ignore[attr-defined]
    assert refused(call, "status", "./a=b").startswith("a=b holds no campaign.json")


def test_a_further_verb_is_one_file(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "greet.py").write_text(GREET)
    monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path / "more")])
    try:
        assert call("greet", "Ada", "--loud") == (0, "hello Ada!\n", "")
        assert "\n  greet     say hello\n" in call()[1]
        assert "usage: python -m orchestrator greet NAME [OPTIONS]" in call("greet", "--help")[1]
        assert refused(call, "status", "--loud").startswith("--loud: belongs to greet; status takes no option")
        assert refused(call, "greeet").startswith("greeet: there is no such verb; did you mean greet?")
    finally:
        sys.modules.pop("orchestrator.commands.verbs.greet", None)


def test_help_imports_nothing_that_takes_long(tmp_path: Path) -> None:
    code = (
        "import sys; from orchestrator.__main__ import main; from orchestrator.commands.line import names; "
        "codes = [main([]), *(main([verb, '--help']) for verb in names()), main(['report', 'A', '--gate'])]; assert set(codes) == {0, 2}; "
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
        if "--help" not in words:
            name, rest = line.find_verb(words)
            assert line.load(name or "run").read(line.parse(name or "run", rest, words))


def test_the_page_of_commands_says_which_option_belongs_to_which_verb() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*)` \| (.*) \|$", (ROOT / "docs" / "commands.md").read_text("utf-8"), re.MULTILINE)
    told = {verb: (words.replace("\\|", "|"), re.findall(r"`(--[a-z-]+)`", options)) for verb, words, options in rows}
    assert told == {verb: (line.load(verb).WORDS, line.parser_of(verb).main_names) for verb in line.names()}


def test_formats_are_those_that_are_written() -> None:
    assert FIGURES == FORMATS


def test_every_option_of_another_verb_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    parsers = {verb: line.parser_of(verb) for verb in line.names()}
    monkeypatch.setattr(line, "parser_of", parsers.__getitem__)  # each is made once
    every = {option for parser in parsers.values() for option in parser.main_names}
    for verb, parser in parsers.items():
        for option in every - set(parser.names):
            with pytest.raises(InputError, match=f"^{option}: belongs to .*; {verb} takes ") as caught:
                line.parse(verb, ["a", option])
            told, _, _ = str(caught.value).partition(f"; {verb} takes ")
            owners = re.split(", | and ", told.removeprefix(f"{option}: belongs to "))
            assert owners == [other for other in parsers if option in parsers[other].names]
            assert "\n" not in str(caught.value)


def test_a_verb_whose_file_is_broken_leaves_the_others_their_help(monkeypatch: pytest.MonkeyPatch) -> None:
    load = line.load

    def loaded(name: str) -> Any:
        if name == "status":
            raise SyntaxError("invalid syntax")
        return load(name)

    monkeypatch.setattr(line, "load", loaded)
    shown = line.overview()
    assert "status    (its file cannot be used: SyntaxError: invalid syntax)" in shown
    assert load("report").SUMMARY in shown
