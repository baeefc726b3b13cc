"""``bundle`` writes a file of evidence, ``verify`` looks at one."""

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from orchestrator.assessment.documents import summary, verdict_lines
from orchestrator.assessment.requirements import read_requirements
from orchestrator.bundling import signing
from orchestrator.bundling.archive import write_archive
from orchestrator.bundling.contents import bundle_of
from orchestrator.bundling.verification import Verified, passing_folder, verify
from orchestrator.commands.outputs import check_outputs
from orchestrator.configuration.composition import override_analysis
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import trials_counted
from orchestrator.storage.reader import open_campaign


def write_bundle(directory: Path, path: Path, overrides: Sequence[str], requirements: Path | None, key: Path | None) -> int:
    """Write a bundle, sign it where that is asked for, and say what it holds. Returns the exit code."""
    campaign = open_campaign(directory)
    signature = signing.signature_of(path)
    check_outputs({"FILE": path, "the signature": signature}, [campaign.directory], [requirements, key], overrides)
    if key is not None:
        signing.check_key(key)
    required = None if requirements is None else _required(requirements)
    analysis = override_analysis(campaign.record.config.analysis, overrides)
    with tempfile.TemporaryDirectory(prefix="orchestrator-bundle-") as folder:
        bundle = bundle_of(campaign, analysis, Path(folder), required)
        signature.unlink(missing_ok=True)  # it is that of another bundle
        write_archive(path, bundle.files, int(campaign.record.created_at.timestamp()))
    terminal = Terminal()
    if bundle.assessment is not None:
        terminal.prose(summary(bundle.assessment))
    terminal.line(f"bundle: {path} ({len(bundle.files):,} files, {path.stat().st_size:,} bytes)")
    if key is not None:
        terminal.line(f"signature: {signing.sign(path, key)}")
    terminal.line(f"verify it anywhere with: python -m orchestrator verify {shlex.quote(path.name)}")
    return 0


def _required(path: Path) -> tuple[str, bytes]:
    read_requirements(path)  # says by the name that was typed what is wrong
    return path.name, path.read_bytes()


def verify_bundle(path: Path, signer: Path | None) -> int:
    """Look at a bundle; print a line per problem, and the verdicts that its times give. Returns 0, or 1 where anything differs."""
    if signer is not None:
        signing.check_key(signer, "--signer")
    with passing_folder() as folder:
        found = verify(path, folder)
    complaint = None if signer is None else signing.complaint(path, signer)
    problems = [*found.problems, *filter(None, [complaint])]
    terminal = Terminal()
    for problem in problems:
        terminal.line(problem)
    if found.assessment is not None and complaint is None:  # what a stranger made shows nothing
        for line in verdict_lines(found.assessment):
            terminal.line(line)
    if problems:
        return 1
    for remark in (*filter(None, [found.remark]), _about_signature(path, signer)):
        terminal.prose(remark)
    terminal.prose(_good(path, found))
    return 0


def _about_signature(path: Path, signer: Path | None) -> str:
    if signer is not None:
        return f"signed by a key of {signer.name}"
    signature = signing.signature_of(path)
    if signature.is_file():
        return f"{signature.name} was not looked at: say who should have signed with --signer KEY"
    return "not signed: that nothing was changed since it was bundled is shown, by whom it was bundled is not"


def _good(path: Path, found: Verified) -> str:
    assert found.about is not None
    campaign = found.about.campaign
    return (
        f"verified: {path.name} ({found.files:,} files; {trials_counted(found.trials)} of {campaign.name}, begun "
        f"{campaign.created_at:%Y-%m-%d %H:%M} UTC, every figure computed again from the stored times; report.html and report.md are held "
        "by their digests alone)"
    )
