"""``verify FILE``: whether a bundle is as it was made, and its figures follow from its times."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, path
from orchestrator.contracts import InputError

SUMMARY = "whether a bundle is as it was made, and follows from its times"
ABOUT = """\
Compute the digests of a bundle again, and its figures from its stored times, without the model, the data or a network.
One line per problem; exit code 1 where anything differs, 2 for what is no bundle. No code of a bundle is run."""
WORDS = "FILE"
EXAMPLES = ("verify evidence.tar.zst", "verify evidence.tar.zst --signer measurer.pub")


@dataclass(frozen=True)
class Options:
    """Which bundle, and the key or the file of keys of whom should have signed it, or None."""

    file: Path
    signer: Path | None = None


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    help_text = "who should have signed it: a public key of OpenSSH, or a file of allowed signers"
    parser.option("--signer", type=path, metavar="KEY", help=help_text)


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    words, _ = split(line, takes_overrides=False)
    if len(words) != 1:
        raise InputError(f"verify takes one bundle, {counted(words)}: name a file that `bundle` has written, such as evidence.tar.zst")
    return Options(words[0], line.options.signer)


def execute(options: Options) -> int:
    """Verify it and say what is wrong. Returns the exit code."""
    from orchestrator.commands.bundle import verify_bundle

    return verify_bundle(options.file, options.signer)
