"""Files that a command is to write, looked at before it does anything: they are none that it reads, and lie in no campaign."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.storage.files import check_output_file
from orchestrator.storage.layout import refuse_campaign_folder

TABLE = re.compile(r"[^={},:\[\]'\"\s]+\.csv", re.IGNORECASE)
"""What an override names that is read, as in ``analysis.tolerance={csv: FILE}``."""


def check_outputs(
    outputs: Mapping[str, Path], directories: Sequence[Path], inputs: Iterable[Path | None] = (), words: Iterable[str] = ()
) -> None:
    """Raise InputError for a file to be written that could not be, is one of the inputs or another output, or lies in a campaign.

    Parameters
    ----------
    outputs
        by the option that names each.
    directories
        of the campaigns that are read, which need not exist yet.
    inputs
        further files that are read; None stands for one that is not given.
    words
        overrides, which may name files that are read.
    """
    refuse_inputs(outputs, inputs, words)
    written: list[tuple[str, Path]] = []
    for option, path in outputs.items():
        if other := next((other for other, there in written if is_same(path, there)), None):
            raise InputError(f"{option} {path}: would replace what {other} writes: give each a file of its own")
        refuse_campaign_folder(path, option, directories)
        check_output_file(path)
        written.append((option, path))


def refuse_inputs(outputs: Mapping[str, Path], inputs: Iterable[Path | None], words: Iterable[str] = ()) -> None:
    """Raise InputError for a file to be written that is one of those read."""
    read = [*filter(None, inputs), *(Path(name) for word in words for name in TABLE.findall(word))]
    for option, path in outputs.items():
        if one := next((one for one in read if is_same(path, one)), None):
            raise InputError(f"{option} {path}: would replace {one}, which this command reads: name another place")


def is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, or would, also through links."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return one.resolve() == other.resolve()
