"""``study DIR...``: the study's files from stored results, and a document's numbers filled in or compared."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.analysis.several_campaigns import SeveralCampaigns
from orchestrator.commands.outputs import check_outputs, refuse_inputs
from orchestrator.commands.report import refuse_twice
from orchestrator.configuration.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.terminal import Terminal
from orchestrator.storage.files import make_output_folder, write_text
from orchestrator.storage.layout import inside, refuse_campaign_folder
from orchestrator.storage.reader import open_campaign
from orchestrator.study.claims import read_criteria, shipped_criteria
from orchestrator.study.figures import draw
from orchestrator.study.material import read_material
from orchestrator.study.study import Study, differences, filled, make_study, to_document, to_json

FOLDER = "study"
DOCUMENT, FIGURES = "study.md", "study.json"


def write_study(directories: Sequence[Path], overrides: Sequence[str], criteria: Path | None, to: Path | None, fill: Path | None) -> int:
    """Write ``study.md``, ``study.json`` and figures, fill a document if there is one, and print the claims. Returns the exit code."""
    before = None if fill is None else _read(fill, "--fill")
    if to is not None:
        refuse_campaign_folder(to, "--to", directories)
        refuse_inputs({f"--to {to}": to / name for name in (DOCUMENT, FIGURES)}, [criteria, fill], overrides)
    if fill is not None:
        check_outputs({"--fill": fill}, directories, [criteria], overrides)
    study = _study(directories, overrides, criteria)
    after = None if fill is None or before is None else filled(before, study, str(fill))
    folder = inside(directories[0], directories[0] / FOLDER) if to is None else to
    folder = make_output_folder(folder, "--to")
    for figure in study.figures:
        write_text(folder / f"{figure.name}.svg", draw(figure))
    write_text(folder / FIGURES, to_json(study))
    write_text(folder / DOCUMENT, to_document(study))
    if fill is not None and after is not None and after != before:
        write_text(fill, after)
    terminal = Terminal()
    terminal.table(study.tables["claims"].to_table())
    terminal.line()
    terminal.line(f"study: {folder / DOCUMENT}")
    return 0


def check_document(directories: Sequence[Path], overrides: Sequence[str], criteria: Path | None, path: Path) -> int:
    """Say whether a document says what the stored results do, naming the first difference. Returns 0, or 1 where it does not."""
    text = _read(path, "--check")
    found = list(differences(text, _study(directories, overrides, criteria), str(path)))
    terminal = Terminal()
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        terminal.prose(f"{found[0]}{more}")
        return 1
    terminal.prose(f"{path}: every figure is that of the stored results")
    return 0


def _study(directories: Sequence[Path], overrides: Sequence[str], criteria: Path | None) -> Study:
    wanted = read_criteria(shipped_criteria() if criteria is None else criteria)
    refuse_twice(directories)
    campaigns = [open_campaign(directory) for directory in directories]
    campaign = campaigns[0] if len(campaigns) == 1 else SeveralCampaigns(campaigns)
    analysis = override_analysis(campaign.record.config.analysis, overrides)
    if isinstance(campaign, SeveralCampaigns):
        analysis = campaign.analysis(analysis)
    return make_study(read_material(campaign, analysis, wanted))


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(f"{option} {path}: cannot be read ({reason}): name a Markdown file with markers") from error
