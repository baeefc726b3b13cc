"""``export DIR --to FOLDER``: figures and timings for other programs; ``export baseline FILE DIR``: a baseline for ``compare``."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, among, path
from orchestrator.contracts import InputError

SUMMARY = "figures and timings for other programs, or a baseline file"
ABOUT = "Write a campaign's figures and timings for other programs, or the small file that compare takes in its place. docs/export.md"
WORDS = "{DIR --to FOLDER | baseline [--add] FILE DIR} [analysis.KEY=VALUE...]"
EXAMPLES = ("export results/latest --to figures --format csv,latex", "export baseline baseline.json results/latest")
FORMATS = ("csv", "parquet", "latex", "mlflow")
USAGE = "write `export DIR --to FOLDER --format csv`, or `export baseline FILE DIR`"


@dataclass(frozen=True)
class Options:
    """What ``export`` writes: files in ``formats`` into the folder ``to``, or the file ``baseline``; the other is None.

    ``add``: the baseline is there, and the campaign is one more of it.
    """

    directory: Path
    overrides: tuple[str, ...] = ()
    to: Path | None = None
    formats: tuple[str, ...] = ("csv",)
    baseline: Path | None = None
    add: bool = False


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--to", type=path, metavar="FOLDER", help="the folder to write into; it may be there already")
    help_text = f"csv (if none is given), or of {', '.join(FORMATS)}, with commas between them"
    parser.option("--format", type=among(FORMATS), metavar="FORMATS", help=help_text)
    parser.option("--baseline", type=path, metavar="FILE", help="another way to write `export baseline FILE DIR`")
    parser.flag("--add", help="add the campaign to a baseline file that is there; from 3 on, it knows how campaigns differ")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    directories, overrides = split(line, takes_overrides=True)
    found = line.options
    baseline = found.baseline
    if baseline is None and directories and str(directories[0]) == "baseline" and len(directories) > 1:
        if len(directories) != 3:
            raise InputError(f"export baseline takes a file to write and one results directory, {counted(directories[1:])}: {USAGE}")
        baseline, directories = directories[1], directories[2:]
    if len(directories) != 1:
        raise InputError(f"export takes one results directory, {counted(directories)}: {USAGE}")
    if baseline is not None:
        for option, value in (("--to", found.to), ("--format", found.format)):
            if value is not None:
                raise InputError(f"{option}: a baseline is one file of one form; leave it out, or leave out the baseline: {USAGE}")
        if found.add and overrides:
            raise InputError(f"{overrides[0]}: a campaign is added at the thresholds that the baseline has: leave it out")
        return Options(directories[0], overrides, baseline=baseline, add=found.add)
    if found.add:
        raise InputError("--add adds a campaign to a baseline: write `export baseline --add FILE DIR`")
    if found.to is None:
        raise InputError(f"export needs the folder to write into: {USAGE}")
    formats = found.format or ("csv",)
    if overrides and formats == ("parquet",):
        raise InputError(f"{overrides[0]}: --format parquet holds timings, which no analysis key changes: leave it out")
    return Options(directories[0], overrides, found.to, formats)


def execute(options: Options) -> int:
    """Export one campaign. Returns the exit code."""
    from orchestrator.commands.export import export_baseline, export_files

    if options.baseline is not None:
        export_baseline(options.directory, options.overrides, options.baseline, options.add)
    elif options.to is not None:
        export_files(options.directory, options.overrides, options.to, options.formats)
    return 0
