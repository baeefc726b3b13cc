"""``import FILES... --format F --task NAME``: a campaign of what another program has measured."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import iter_modules

import click

from orchestrator import exchange
from orchestrator.commands.line import places, quiet, typed, verb
from orchestrator.contracts import InputError
from orchestrator.report.text import printable

# One module each, which is not loaded.
FORMATS = sorted(module.name for module in iter_modules([f"{folder}/formats" for folder in exchange.__path__]))
KEYS = ("results_dir", "model", "system", "runtime")


@verb(
    "import times.csv --format table --task my_task --map inference_ms=latency --map sample=id",
    "import benchmarks.json --format guidellm --task chat model=smollm2 results_dir=results/chat",
)
@places("FILE... --format FORMAT --task NAME [KEY=VALUE...]", most=None)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), required=True, metavar="FORMAT", help=f"what wrote the files: {', '.join(FORMATS)}"
)
@click.option("--task", required=True, metavar="NAME", help="name of the task that was measured")
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="OURS=THEIRS",
    help="column THEIRS of a table is our column OURS; may be repeated",
)
@click.option(
    "--grade",
    "grade",
    multiple=True,
    metavar="KEY=VALUE",
    help="task whose prompts were asked, such as task=mmlu_dev, to grade the answers; may be repeated for its keys",
)
@quiet
def command(
    found: tuple[Path, ...], overrides: tuple[str, ...], form: str, task: str, mapped: tuple[str, ...], grade: tuple[str, ...], quiet: bool
) -> int:
    """Make a campaign of timings that another program measured.

    `report`, `status`, `compare` and `export` then read it. `import` prints what the files lack. No code of a file is run.
    KEY is results_dir, model, system, runtime or an analysis key. See docs/importing.md.
    """
    from orchestrator.commands.measuring import OWN_FOLDER, looked_at, results_directory, tell_open
    from orchestrator.commands.progress import Progress
    from orchestrator.configuration.analysis import AnalysisConfig
    from orchestrator.configuration.composition import compose_task, override_analysis
    from orchestrator.configuration.config import CampaignConfig
    from orchestrator.exchange.campaign import graded, import_recordings
    from orchestrator.exchange.formats import known_column, recordings_of
    from orchestrator.subject.targets import resolve

    keys = {key: value for key, _, value in (word.partition("=") for word in overrides) if key in KEYS}
    others = [word for word in overrides if word.partition("=")[0] not in KEYS]
    if wrong := next((word for word in others if not word.startswith("analysis.")), None):
        remedy = f"a column takes a --map of its own, --map {wrong}" if known_column(wrong.partition("=")[0]) else "leave it out"
        raise InputError(f"{wrong}: import takes {', '.join(f'{key}=' for key in KEYS)} and analysis.KEY=; {remedy}", "unknown")
    if empty := next((key for key, value in keys.items() if not value), None):
        raise InputError(f"{empty}=: is empty; give a value or leave it out", "missing", empty)
    columns = _columns(mapped)
    config = CampaignConfig(analysis=override_analysis(AnalysisConfig(), others), results_dir=keys.get("results_dir"))
    directory = results_directory(config, "imported")
    tell_open(looked_at(trust=False, remedy=OWN_FOLDER)(directory, False))
    recordings = recordings_of(form, found, columns)
    if grade:
        asked = compose_task(grade)
        recordings = graded(recordings, resolve("task", asked.target, asked.options))
    with Progress(0, None if quiet else sys.stderr) as progress:
        imported = import_recordings(recordings, form, found, {**keys, "task": task}, config, directory, typed(), progress.say)
    for one in imported:
        aside = f", {one.aside} of them as warm-up" if one.aside else ""
        print(printable(f"{one.trial_id}: {one.rows:,} requests{aside}, {one.rounds:,} x {one.samples:,} (rounds x samples)"))  # noqa: T201
    for note in dict.fromkeys(note for one in imported for note in one.notes):
        print(printable(note))  # noqa: T201
    print(printable(f"imported: {directory}; see it with: python -m orchestrator report {shlex.quote(str(directory))}"))  # noqa: T201
    return 0


def _columns(mapped: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for text in mapped:
        ours, _, theirs = text.partition("=")
        if not ours or not theirs:
            raise InputError(f"--map {text}: must be OURS=THEIRS, such as inference_ms=latency", "invalid", "--map", text)
        columns[ours] = theirs
    return columns
