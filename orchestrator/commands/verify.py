"""``verify FILE``: whether a bundle is as it was made, and its figures follow from its times."""

from pathlib import Path

import click

from orchestrator.commands.line import PLACE, verb
from orchestrator.report.text import printable, trials_counted


@verb("verify evidence.tar.zst", "verify evidence.tar.zst --signer measurer.pub")
@click.argument("file", metavar="FILE", type=PLACE)
@click.option(
    "--signer",
    type=PLACE,
    metavar="KEY",
    help="public key of the expected signer, or a file of allowed signers",
)
def command(file: Path, signer: Path | None) -> int:
    """Check a bundle: its files, signature and figures.

    Compute all digests again, and all figures from the stored times; the model, the data and a network are not needed.
    Prints one line per problem. Exit code 1: something differs; 2: not a bundle. No code of a bundle is run.
    """
    from orchestrator.assessment.documents import VERDICT_WIDTH
    from orchestrator.bundling import signing
    from orchestrator.bundling.verification import passing_folder, verify
    from orchestrator.report.terminal import Terminal

    if signer is not None:
        signing.check_key(signer, "--signer")
    with passing_folder() as folder:
        found = verify(file, folder)
    complaint = None if signer is None else signing.complaint(file, signer)
    problems = [*found.problems, *filter(None, [complaint])]
    terminal = Terminal()
    for problem in problems:
        terminal.line(problem)
    if found.assessment is not None and complaint is None:  # what a stranger made shows nothing
        for one in found.assessment.assessed:
            terminal.line(printable(f"{one.verdict:<{VERDICT_WIDTH}}  {one.requirement.id}  {one.requirement.text}"))
    if problems:
        return 1
    signature = signing.signature_of(file)
    if signer is not None:
        signed = f"signed by a key of {signer.name}"
    elif signature.is_file():
        signed = f"{signature.name} was not looked at: say who should have signed with --signer KEY"
    else:
        signed = "not signed: the contents are unchanged since bundling, but nothing shows who bundled them"
    for remark in filter(None, [found.remark, signed]):
        terminal.prose(remark)
    assert found.about is not None
    campaign = found.about.campaign
    terminal.prose(
        f"verified: {file.name} ({found.files:,} files; {trials_counted(found.trials)} of {campaign.name}, begun "
        f"{campaign.created_at:%Y-%m-%d %H:%M} UTC, every figure computed again from the stored times; report.html and report.md are held "
        "by their digests alone)"
    )
    return 0
