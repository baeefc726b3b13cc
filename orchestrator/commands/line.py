"""The command line: which verb it names, and what verbs have in common.

Every file of this folder that is not among `SHARED` is a verb: a click command called ``command``. At its top it imports nothing slow, so
that help comes at once; what does the work is imported where it runs.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import click
from click.shell_completion import CompletionItem

import orchestrator
from orchestrator import commands
from orchestrator.contracts import Code, InputError, nearest
from orchestrator.running.signals import heed_signals

PROGRAM = "python -m orchestrator"
HELP = ["-h", "--help"]
# Modules beside the verbs that are none
SHARED = ("line", "listing", "measuring", "paired_run", "planned", "planning", "progress", "reading", "searching")
# The verb of a command line that begins with `KEY=VALUE` or an option
DEFAULT = "run"
# Options before any verb
OF_ALL = ("--help", "-h", "--version")
EMPTY = "''"
# Largest count: rounds have 32-bit numbers
MOST = 10**9
# How a path begins that could be taken for `KEY=VALUE`
PATHS = ("/", "./", "../", "~")
EXIT_CODES = {
    0: "all done, or passed",
    1: "a trial is not done, a requirement is not met, or `compare --gate`, `verify`, `doctor` or `study --check` found a problem",
    2: "a mistake in the command, configuration or plan",
    3: "`compare --gate` has no verdict, a requirement is not shown or a plan too small for it, or no rate is certified",
    130: "interrupted",
}
EXAMPLES = f"""\b
{PROGRAM} +sweep=vision    measure a sweep on this machine
{PROGRAM} VERB --help      what a verb takes, with examples
{PROGRAM} --info           the names of all models, tasks, systems, runtimes and sweeps

Exit codes: {"; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())}.
"""


class Verbs(click.Group):
    """The verbs, by the names of their files; the file of one whose name is a word of Python's own ends with an underscore."""

    def list_commands(self, ctx: click.Context | None = None) -> list[str]:
        found = (module.name for module in iter_modules(commands.__path__))
        return sorted(name.removesuffix("_") for name in found if name not in SHARED)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands():
            return None
        command: click.Command = import_module(f"{commands.__name__}.{cmd_name}{'_' if iskeyword(cmd_name) else ''}").command
        heed_signals()
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in OF_ALL and ("=" in args[0] or args[0].startswith("-")):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in (known := self.list_commands()):
            if ctx.resilient_parsing:  # a shell asks what could follow: nothing
                return args[0], click.Command(args[0]), []
            ctx.fail(f"{args[0] or EMPTY}: there is no such verb; {nearest(args[0], known)} (or start with KEY=VALUE)")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [*super().shell_complete(ctx, incomplete), *complete_override(ctx, None, incomplete)]


def run(typed: Sequence[str]) -> int:
    """Do what a command line says, or print help. Returns the exit code; raises InputError."""
    words = [*typed[1:], "--help"] if list(typed[:1]) in ([], ["help"]) else list(typed)
    try:
        with VERBS.make_context(PROGRAM, words, obj=tuple(typed)) as context:
            code: int = VERBS.invoke(context)
            return code
    except click.exceptions.Exit as ended:  # help or the version was printed
        return ended.exit_code
    except click.UsageError as error:
        raise _refusal(error) from error


def read(verb: str, words: Sequence[str]) -> dict[str, Any]:
    """Return what a line of a verb says, by the names of its parameters, without doing it. Raises InputError."""
    command = VERBS.get_command(None, verb)
    assert command is not None
    try:
        return command.make_context(f"{PROGRAM} {verb}", list(words), help_option_names=HELP).params
    except click.UsageError as error:
        raise _refusal(error) from error


def typed() -> tuple[str, ...]:
    """Return every word of the command line under way, as the user typed it."""
    words: tuple[str, ...] = click.get_current_context().find_root().obj
    return words


def _refusal(error: click.UsageError) -> InputError:
    """Return a mistake in one line. Of an option it says whose it is, or which one has nearly that name."""
    command, path = (error.ctx.command, error.ctx.command_path) if error.ctx is not None else (VERBS, PROGRAM)
    see = f"see `{path} --help`"
    if not isinstance(error, click.NoSuchOption):
        code: Code = "missing" if isinstance(error, click.MissingParameter | click.BadOptionUsage) else "invalid"
        name = error.param.opts[0] if isinstance(error, click.BadParameter) and error.param is not None else ""
        return InputError(f"{' '.join(error.format_message().split()).removesuffix('.')}; {see}", code, name)
    option = error.option_name
    if owners := [name for name in VERBS.list_commands() if option in options_of(name)]:
        return InputError(f"{option}: belongs to {', '.join(owners)}, not to {command.name}; {see}", "unknown", option)
    near = nearest(option, options_of(command.name or ""))
    return InputError(f"{option}: there is no such option; {near} ({see})", "unknown", option)


def options_of(verb: str) -> list[str]:
    """Return the options of a verb, by all their names."""
    command = VERBS.get_command(None, verb)
    return [] if command is None else [name for one in command.params if isinstance(one, click.Option) for name in one.opts]


def verb(*examples: str) -> Callable[[Callable[..., int]], click.Command]:
    """Declare a function as a verb: the first line of its docstring is what the overview says, the rest what its help adds."""
    shown = "\n".join(f"  {PROGRAM} {example}" for example in examples)

    def declare(function: Callable[..., int]) -> click.Command:
        name = function.__module__.rpartition(".")[2].removesuffix("_")
        return click.command(name, epilog=f"\b\nExamples:\n{shown}")(function)

    return declare


def is_override(word: str) -> bool:
    """Return whether a word is ``KEY=VALUE`` rather than a path."""
    return "=" in word and not word.startswith(PATHS)


def override(text: str) -> str:
    """Read ``KEY=VALUE`` in Hydra's grammar, which composing takes apart."""
    if "=" not in text and not text.startswith("~"):
        raise click.BadParameter(f"{text or EMPTY} is not of this form")
    return text


def complete_override(ctx: click.Context, param: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """Return the names of groups that a word may begin, or of the files of its group."""
    conf = Path(orchestrator.__file__).parent / "conf"
    folder = conf if conf.is_dir() else conf.parents[1] / "conf"
    key, equals, value = incomplete.partition("=")
    if not equals:
        return [CompletionItem(f"{path.name}=") for path in folder.iterdir() if path.is_dir() and path.name.startswith(key)]
    names = sorted(path.stem for path in (folder / key.lstrip("+")).glob("*.yaml"))
    return [CompletionItem(f"{key}={name}") for name in names if name.startswith(value)]


class Place(click.Path):
    """A folder or file, which an empty word does not name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not value:
            self.fail("an empty word names no folder or file; give one or leave it out", param, ctx)
        return Path(value)


class Number(click.FloatRange):
    """A number within limits; NaN lies within none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value} is no number", param, ctx)
        return found


def listed(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    if found := tuple(filter(None, text.split(","))):
        return found
    raise click.BadParameter(f"{text!r}: names were expected, such as a or a,b")


def among(*choices: str) -> Callable[[str], tuple[str, ...]]:
    """Return what reads names among these, with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        found = listed(text)
        if strange := [name for name in found if name not in choices]:
            raise click.BadParameter(f"{strange[0]!r}: there is no such choice; choose among {', '.join(choices)}")
        return found

    return read


COUNT = click.IntRange(1, MOST)
PLACE = Place()
Decorated = Callable[[Callable[..., Any]], Callable[..., Any]]


def flag(*names: str, help: str) -> Decorated:  # noqa: A002 - click's own name
    """Declare an option without a value."""
    return click.option(*names, is_flag=True, help=help)


def together(*options: Decorated) -> Decorated:
    """Return several options as one decorator."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def overrides_alone(metavar: str = "KEY=VALUE...") -> Decorated:
    """Declare words that are all ``KEY=VALUE``."""
    return click.argument("overrides", metavar=metavar, nargs=-1, type=override, shell_complete=complete_override)


def places(metavar: str, least: int = 1, most: int | None = 1) -> Decorated:
    """Declare words that are folders or files, so many of them, and ``KEY=VALUE``: the parameters ``found`` and ``overrides``."""

    def split(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> None:
        found = [Path(word) for word in words if not is_override(word)]
        if "" in words:
            ctx.fail(f"{EMPTY}: an empty word names nothing; leave it out")
        if not least <= len(found) <= (len(found) if most is None else most):
            given = f"{len(found)} given ({', '.join(map(str, found[:3]))})" if found else "none given"
            ctx.fail(f"{ctx.info_name} takes {metavar}, {given}")
        ctx.params |= {"found": tuple(found), "overrides": tuple(filter(is_override, words))}

    return click.argument("words", metavar=metavar, nargs=-1, callback=split, expose_value=False, shell_complete=PLACE.shell_complete)


quiet = flag("--quiet", help="no progress on stderr")
full = flag("--full", help="print all tables too, not only the answer")
trust = flag("--trust", help="measure into results_dir= even if others own it or everyone can write it")
multirun = flag("-m", "--multirun", help="KEY=a,b makes one trial with a and one with b, as in a sweep")
config_dirs = click.option(
    "--config-dir",
    "config_dirs",
    multiple=True,
    type=PLACE,
    metavar="DIR",
    help="search DIR for configuration of your own; may be repeated",
)
# What `run` and `plan` have in common
composing = together(
    overrides_alone(),
    multirun,
    config_dirs,
    click.option("--cfg", type=click.Choice(["job"]), help="print every trial as a YAML document and stop"),
    flag("--info", help="print all names of all groups, and stop"),
    flag("--skip-infeasible", help="run the other trials if some cannot run here; exit code 1"),
    flag("--many", help="allow more than 1,000 trials, repeats included"),
    quiet,
)
# What `resume` and `extend` have in common
going_on = together(
    places("DIR [cluster.address=HOST:PORT]"),
    flag("--accept-changes", help="go on even if code, data or host changed; this is recorded"),
    flag("--trust", help="run its code even if another user could have written it"),
    full,
    quiet,
)


def refuse_alone(needed: str, **given: object) -> None:
    """Raise InputError for an option that is given without the one that it says something of."""
    for name, value in given.items():
        if value not in (None, False, ()):
            raise InputError(f"--{name.replace('_', '-')}: says how {needed} works: add {needed}, or leave it out", "missing", needed)


def check_outputs(outputs: Mapping[str, Path], directories: Sequence[Path], inputs: Sequence[Path | None] = ()) -> None:
    """Raise InputError for a file to be written that could not be, is one of the inputs, or lies in a campaign.

    Parameters
    ----------
    outputs
        by the option that names each.
    directories
        of the campaigns that are read, which need not exist yet.
    inputs
        further files that are read; None stands for one that is not given.
    """
    from orchestrator.storage.files import check_output_file
    from orchestrator.storage.layout import refuse_campaign_folder

    for option, path in outputs.items():
        if one := next((one for one in filter(None, inputs) if os.path.realpath(path) == os.path.realpath(one)), None):
            raise InputError(f"{option} {path}: would replace {one}, which this command reads: name another place", "exists", option, path)
        refuse_campaign_folder(path, option, directories)
        check_output_file(path)


def output_folder(option: str, folder: Path | None, otherwise: Path, campaigns: Sequence[Path]) -> Path:
    """Return the folder to write into, made where it is not there. Raises InputError for one that is named and lies in a campaign."""
    from orchestrator.storage.files import make_output_folder
    from orchestrator.storage.layout import refuse_campaign_folder

    if folder is not None:
        refuse_campaign_folder(folder, option, campaigns)
    return make_output_folder(folder or otherwise, option)


VERBS = click.version_option(orchestrator.__version__, message=f"tail-quality {orchestrator.__version__}", help="print the version")(
    Verbs(
        help="Measure tail quality: how good an ML inference system is when an answer that comes too late counts as a failure.",
        epilog=EXAMPLES,
        subcommand_metavar="[VERB] [WORDS] [OPTIONS]",
        context_settings={"help_option_names": HELP, "terminal_width": 100},
    )
)
