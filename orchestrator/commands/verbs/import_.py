"""``import FILES... --format F --task NAME``: a campaign of what another program has measured."""

from orchestrator.commands.asked import Importing
from orchestrator.commands.line import Line, split
from orchestrator.commands.parser import LineParser
from orchestrator.commands.shared_options import add_quiet
from orchestrator.contracts import InputError
from orchestrator.exchange import import_formats

SUMMARY = "a campaign of what another program has measured"
ABOUT = """\
Make a campaign of timings that another program has measured, for report, status, compare and export. What a file does
not hold is not made up, and said. No code of a file is run. KEY is results_dir, model, system, runtime or an analysis
key. docs/importing.md has the form of tables."""
WORDS = "FILE... --format FORMAT --task NAME [KEY=VALUE...]"
EXAMPLES = (
    "import times.csv --format table --task my_task --map inference_ms=latency --map sample=id",
    "import benchmarks.json --format guidellm --task chat model=smollm2 results_dir=results/chat",
)
KEYS = ("results_dir", "model", "system", "runtime")


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--format", choices=import_formats(), help="what wrote the files; table is CSV, Parquet or JSON lines")
    parser.option("--task", metavar="NAME", help="the task that was measured, as tables shall name it")
    help_text = "of a table: its column THEIRS is our column OURS; may be given more than once"
    parser.option("--map", action="append", default=[], metavar="OURS=THEIRS", help=help_text)
    add_quiet(parser)


def read(line: Line) -> Importing:
    """Return what the command line says. Raises InputError."""
    files, words = split(line, takes_overrides=True)
    found = line.options
    if not files:
        raise InputError("import takes one file or more, none was given: name one, such as times.csv; see `orchestrator import --help`")
    for option, value, example in (("--format", found.format, "table"), ("--task", found.task, "my_task")):
        if not value:
            raise InputError(f"import needs {option}: add {option} {example}; see `orchestrator import --help`")
    keys = {key: value for key, _, value in (word.partition("=") for word in words) if key in KEYS}
    overrides = tuple(word for word in words if word.partition("=")[0] not in KEYS)
    for word in overrides:
        if not word.startswith("analysis."):
            remedy = f"a column takes a --map of its own, --map {word}" if _is_column(word) else "leave it out"
            raise InputError(f"{word}: import takes {', '.join(f'{key}=' for key in KEYS)} and analysis.KEY=; {remedy}")
    if empty := next((key for key, value in keys.items() if not value), None):
        raise InputError(f"{empty}=: is empty; give a value or leave it out")
    return Importing(files, found.format, found.task, _mapped(found.map), keys, overrides, line.typed, found.quiet)


def _is_column(word: str) -> bool:
    from orchestrator.exchange.formats import known_column

    return known_column(word.partition("=")[0])


def _mapped(texts: list[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for text in texts:
        ours, _, theirs = text.partition("=")
        if not ours or not theirs:
            raise InputError(f"--map {text}: must be OURS=THEIRS, such as inference_ms=latency")
        if ours in columns or theirs in columns.values():
            raise InputError(f"--map {text}: this column is mapped already; map each once")
        columns[ours] = theirs
    return columns


def execute(options: Importing) -> int:
    """Import the files. Returns the exit code."""
    from orchestrator.commands.import_ import execute

    return execute(options)
