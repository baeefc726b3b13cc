"""``study DIR...``: the paper's study from stored results alone; fills a document's numbers, or checks them."""

from pathlib import Path

import click

from orchestrator.commands.line import PLACE, check_outputs, places, verb
from orchestrator.contracts import InputError

FOLDER = "study"
DOCUMENT, FIGURES = "study.md", "study.json"


@verb("study results/latest --fill docs/study.md", "study results/latest --check docs/study.md")
@places("DIR... [analysis.KEY=VALUE...]", most=None)
@click.option("--to", type=PLACE, metavar="FOLDER", help="write into this folder (default: study/ in DIR)")
@click.option("--criteria", type=PLACE, metavar="FILE", help="criteria for the claims (default: conf/study.yaml)")
@click.option("--fill", type=PLACE, metavar="FILE", help="also write the figures between the markers of this document")
@click.option("--check", type=PLACE, metavar="FILE", help="write nothing; exit code 1 if this document has other figures")
def command(
    found: tuple[Path, ...], overrides: tuple[str, ...], to: Path | None, criteria: Path | None, fill: Path | None, check: Path | None
) -> int:
    """Write the paper's tables, figures and claims from stored files.

    Writes study.md, study.json and figures; claims are judged by criteria fixed beforehand. No code of a campaign
    is run. See docs/study.md.
    """
    from orchestrator.analysis.campaign_analysis import SeveralCampaigns
    from orchestrator.commands.reading import refuse_twice
    from orchestrator.configuration.composition import override_analysis
    from orchestrator.report.terminal import Terminal
    from orchestrator.storage.files import make_output_folder, write_text
    from orchestrator.storage.layout import inside, refuse_campaign_folder
    from orchestrator.storage.reader import open_campaign
    from orchestrator.study.claims import read_criteria
    from orchestrator.study.figures import draw
    from orchestrator.study.material import read_material
    from orchestrator.study.study import differences, filled, make_study, to_document, to_json

    if check is not None and (fill is not None or to is not None):
        raise InputError("--check writes nothing: leave out --fill and --to, or --check", "conflict", "--check")
    if len(found) > 1 and to is None and check is None:
        raise InputError("a study of several campaigns belongs into none of them: add --to FOLDER", "missing", "--to")
    if to is not None:
        refuse_campaign_folder(to, "--to", found)
    document, option = (check, "--check") if check is not None else (fill, "--fill")
    before = "" if document is None else _read(document, option)
    if fill is not None:
        check_outputs({"--fill": fill}, found, [criteria])
    wanted = read_criteria(criteria)
    refuse_twice(found)
    campaigns = [open_campaign(directory) for directory in found]
    campaign = campaigns[0] if len(campaigns) == 1 else SeveralCampaigns(campaigns)
    analysis = override_analysis(campaign.record.config.analysis, overrides)
    if isinstance(campaign, SeveralCampaigns):
        analysis = campaign.analysis(analysis)
    study, terminal = make_study(read_material(campaign, analysis, wanted)), Terminal()
    if check is not None:
        wrong = list(differences(before, study, str(check)))
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        terminal.prose(f"{wrong[0]}{more}" if wrong else f"{check}: every figure is that of the stored results")
        return int(bool(wrong))
    after = filled(before, study, str(fill)) if fill is not None else ""
    folder = make_output_folder(to or inside(found[0], found[0] / FOLDER), "--to")
    for figure in study.figures:
        write_text(folder / f"{figure.name}.svg", draw(figure))
    write_text(folder / FIGURES, to_json(study))
    write_text(folder / DOCUMENT, to_document(study))
    if fill is not None and after != before:
        write_text(fill, after)
    terminal.tables([study.tables["claims"].to_table()])
    terminal.line(f"study: {folder / DOCUMENT}")
    return 0


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(
            f"{option} {path}: cannot be read ({reason}): name a Markdown file with markers", "unreadable", option, path
        ) from error
