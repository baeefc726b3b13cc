"""``import``: reads files of other programs, writes a campaign, and says what became of them."""

from __future__ import annotations

import shlex
import sys

from orchestrator.commands.run import results_directory
from orchestrator.commands.verbs.import_ import Options
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import override_analysis
from orchestrator.configuration.config import CampaignConfig
from orchestrator.contracts import InputError
from orchestrator.importing.campaign import Imported, Names, import_recordings
from orchestrator.importing.recording import find_format
from orchestrator.report.progress import Progress
from orchestrator.report.text import printable


def execute(options: Options) -> int:
    """Import the files. Returns the exit code."""
    for path in options.files:
        if not path.exists():
            raise InputError(f"{path} is not there: name files that another program has written")
    analysis = override_analysis(AnalysisConfig(), options.overrides)
    config = CampaignConfig(analysis=analysis, results_dir=options.keys.get("results_dir"))
    directory = results_directory(config, "imported")
    names = Names(options.task, options.keys.get("model"), options.keys.get("system"), options.keys.get("runtime"))
    recordings = find_format(options.form).read(options.files, options.columns)
    with Progress(0, None if options.quiet else sys.stderr) as progress:
        imported = import_recordings(recordings, options.form, options.files, names, config, directory, options.command, progress.say)
    told: dict[str, None] = {}
    for one in imported:
        print(printable(_line(one)))  # noqa: T201
        told.update(dict.fromkeys(one.notes))
    for note in told:
        print(printable(note))  # noqa: T201
    print(printable(f"imported: {directory}; see it with: python -m orchestrator report {shlex.quote(str(directory))}"))  # noqa: T201
    return 0


def _line(one: Imported) -> str:
    aside = f", {one.aside} of them as warm-up" if one.aside else ""
    return f"{one.trial_id}: {one.rows:,} requests{aside}, {one.rounds:,} x {one.samples:,} (rounds x samples)"
