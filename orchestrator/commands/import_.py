"""``import``: reads files of other programs, writes a campaign, and says what became of them."""

import shlex
import sys

from orchestrator.commands.asked import Importing
from orchestrator.commands.progress import Progress
from orchestrator.commands.results_folder import OWN_FOLDER, looked_at, tell_open
from orchestrator.commands.run import results_directory
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import override_analysis
from orchestrator.configuration.config import CampaignConfig
from orchestrator.contracts import InputError
from orchestrator.exchange.campaign import Imported, Names, import_recordings
from orchestrator.exchange.formats import recordings_of
from orchestrator.report.text import printable


def execute(asked: Importing) -> int:
    """Import the files. Returns the exit code."""
    for path in asked.files:
        if not path.exists():
            raise InputError(f"{path} is not there: name files that another program has written")
    analysis = override_analysis(AnalysisConfig(), asked.overrides)
    config = CampaignConfig(analysis=analysis, results_dir=asked.keys.get("results_dir"))
    directory = results_directory(config, "imported")
    names = Names(asked.task, asked.keys.get("model"), asked.keys.get("system"), asked.keys.get("runtime"))
    tell_open(looked_at(trust=False, remedy=OWN_FOLDER)(directory, False))
    recordings = recordings_of(asked.form, asked.files, asked.columns)
    with Progress(0, None if asked.quiet else sys.stderr) as progress:
        imported = import_recordings(recordings, asked.form, asked.files, names, config, directory, asked.command, progress.say)
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
