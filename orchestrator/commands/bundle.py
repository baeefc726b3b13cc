"""``bundle DIR FILE.tar.zst``: a campaign with all that is evidence of it, in one file that ``verify`` looks at anywhere."""

import shlex
import tempfile
from pathlib import Path

import click

from orchestrator.commands.line import PLACE, check_outputs, places, verb
from orchestrator.contracts import InputError

ENDING = ".tar.zst"


@verb(
    "bundle results/latest evidence.tar.zst",
    "bundle results/latest evidence.tar.zst --requirements requirements.yaml --sign ~/.ssh/id_ed25519",
)
@places("DIR FILE.tar.zst [analysis.KEY=VALUE...]", least=2, most=2)
@click.option(
    "--requirements", type=PLACE, metavar="FILE", help="assess the campaign against this file, and bundle the file and its verdicts"
)
@click.option("--sign", type=PLACE, metavar="KEY", help="sign the bundle with this key of ssh-keygen; the signature is a file beside it")
def command(found: tuple[Path, ...], overrides: tuple[str, ...], requirements: Path | None, sign: Path | None) -> int:
    """Pack a campaign into one file of evidence, signed if you like.

    The file holds the stored times, new result tables and a new report, the environment of the measurement, and the
    SHA-256 of everything. `verify` checks it on any machine. See docs/evidence.md.
    """
    from orchestrator.assessment.documents import summary
    from orchestrator.assessment.requirements import read_requirements
    from orchestrator.bundling import signing
    from orchestrator.bundling.archive import write_archive
    from orchestrator.bundling.contents import bundle_of
    from orchestrator.commands.reading import opened
    from orchestrator.report.terminal import Terminal

    directory, path = found
    if not path.name.endswith(ENDING) or path.name == ENDING:
        raise InputError(f"{path}: must end with {ENDING}, such as evidence{ENDING}", "invalid", "FILE", path)
    campaign, analysis = opened(directory, overrides)
    signature = signing.signature_of(path)
    check_outputs({"FILE": path, "the signature": signature}, [campaign.directory], [requirements, sign])
    if sign is not None:
        signing.check_key(sign)
    if requirements is not None:
        read_requirements(requirements)  # says by the name that was typed what is wrong
    required = None if requirements is None else (requirements.name, requirements.read_bytes())
    with tempfile.TemporaryDirectory(prefix="orchestrator-bundle-") as folder:
        files, assessment = bundle_of(campaign, analysis, Path(folder), required)
        signature.unlink(missing_ok=True)  # it is that of another bundle
        write_archive(path, files, int(campaign.record.created_at.timestamp()))
    terminal = Terminal()
    if assessment is not None:
        terminal.prose(summary(assessment))
    terminal.line(f"bundle: {path} ({len(files):,} files, {path.stat().st_size:,} bytes)")
    if sign is not None:
        terminal.line(f"signature: {signing.sign(path, sign)}")
    terminal.line(f"verify it anywhere with: python -m orchestrator verify {shlex.quote(path.name)}")
    return 0
