"""``resume DIR`` goes on with an interrupted campaign; ``extend DIR --rounds N`` adds rounds to finished trials, as a further look."""

import os
import shlex
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import all_suffixes
from itertools import chain
from pathlib import Path

from orchestrator.analysis.capacity import seconds_spent
from orchestrator.commands.asked import GoingOn
from orchestrator.commands.capacity import Explorer, exit_code, goes_on, refuse_older, searches_in
from orchestrator.commands.planning import look_at, open_site
from orchestrator.commands.progress import Progress
from orchestrator.commands.results_folder import looked_at
from orchestrator.commands.run import measure
from orchestrator.configuration.composition import override_cluster
from orchestrator.configuration.config import CampaignConfig
from orchestrator.configuration.environment_values import variables_in
from orchestrator.contracts import InputError
from orchestrator.machine.other_users import exchangers, others_of
from orchestrator.running.executor import Site
from orchestrator.running.identity import match_key
from orchestrator.running.pipeline import own_rule
from orchestrator.running.plan import NOWHERE
from orchestrator.stats.stopping import StoppingRule, make_rule
from orchestrator.storage.layout import CAMPAIGN, OVERRIDES
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import CampaignRecord, PlannedTrial
from orchestrator.storage.schema import UNFINISHED
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.digests import code_files, digest_code
from orchestrator.subject.targets import add_code_folders, check_packages


def refuse_strangers_code(verb: str, directory: Path, code: Iterable[str], trust: bool) -> None:
    """Refuse to run code that another user could have chosen or written; with ``trust``, say so on stderr instead.

    Parameters
    ----------
    directory
        a campaign's: its records name the code that is run.
    code
        the folders of the user's own modules that it names.

    Raises
    ------
    InputError
        if ``trust`` is not given and a file or folder belongs to another user, or can be written by everybody.
    """
    folders = [Path(folder).expanduser() for folder in code]
    files = list(code_of(folders))
    ways = dict.fromkeys([directory, *folders, *(path for path in files if path.is_symlink())])
    found = [*strangers([*records_of(directory), *files]), *dict.fromkeys(chain.from_iterable(map(exchangers, ways)))]
    if not found:
        return
    more = f" (and {len(found) - 1} more of its files and folders)" if len(found) > 1 else ""
    message = f"{found[0]}{more}: {verb} runs the code that a campaign names, as you"
    if not trust:
        raise InputError(f"{message}; see that you trust all of it, and add --trust")
    print(f"--trust: {message}", file=sys.stderr)  # noqa: T201


def records_of(directory: Path) -> Iterator[Path]:
    """Yield the records that say which code a campaign runs, and the folders in which they could be replaced."""
    yield directory
    yield from (path for path in (directory / CAMPAIGN, directory / OVERRIDES, directory / "trials") if path.exists())
    for trial in sorted(directory.glob("trials/*")):
        yield trial
        if (trial / "trial.json").exists():
            yield trial / "trial.json"


def code_of(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield folders of code, and all folders in them and files that Python could import, also behind links."""
    importable = tuple(all_suffixes())
    seen: set[str] = set()
    for folder in folders:
        yield folder
        for at, inside, files in os.walk(folder, followlinks=True):
            yield from (Path(at, name) for name in sorted([*inside, *(name for name in files if name.endswith(importable))]))
            real = {name: os.path.realpath(f"{at}/{name}") for name in inside}
            inside[:] = [name for name in sorted(inside) if real[name] not in seen]  # links may lead round in a circle
            seen.update(real.values())


def strangers(paths: Iterable[Path]) -> Iterator[str]:
    """Say, one line each, which of these another user owns or may write. Missing paths are passed over."""
    ours = os.geteuid()
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if status.st_uid != ours:
            yield f"{path} belongs to {_user(status.st_uid)}, another user"
        elif status.st_mode & stat.S_IWOTH:
            yield f"{path} can be written by every user"
        elif status.st_mode & stat.S_IWGRP and (others := others_of(status.st_gid)):
            yield f"{path} can be written by the group {others}"


def _user(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"


def refuse_imported(verb: str, campaign: Campaign) -> None:
    """Raise InputError for a campaign that holds what another program has measured."""
    imported = next((record for record in campaign.trials() if record.imported), None)
    if imported is not None:
        raise InputError(
            f"{imported.trial_id} is imported, and there is nothing to {verb}: measure more where it was measured, and import it again"
        )


FILES_NAMED = 5


def execute(options: GoingOn) -> int:
    """Go on with one campaign. Returns the exit code."""
    began_s = time.monotonic()
    campaign_there = open_campaign(options.directory)
    refuse_imported(options.verb, campaign_there)
    stored = campaign_there.record.config
    refuse_strangers_code(options.verb, options.directory, stored.code, options.trust)
    with CampaignWriter.reopen(options.directory, look=looked_at(options.trust)) as writer:
        campaign = override_cluster(writer.record.config, options.overrides)
        check_packages()
        add_code_folders(campaign.code)
        chosen = _chosen(writer, options)
        question = writer.record.capacity if options.verb == "resume" else None
        if question is not None:
            refuse_older(writer.record)
        searches = [] if question is None else searches_in(writer.directory, question)
        if not chosen and not goes_on(searches):
            look = f"see it with `report {shlex.quote(str(writer.directory))}`"
            raise InputError(f"{writer.directory} has nothing to go on with{_advice(writer)}; {look}")
        with open_site(campaign, [planned.trial for planned in (chosen or writer.record.trials)]) as site:
            site.begin()
            changes = list_changes(writer, campaign, chosen or writer.record.trials, site)
            different = list(dict.fromkeys(chain.from_iterable(changes.values())))
            if different and not options.accept_changes:
                more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
                raise InputError(f"{different[0]}{more}: measure a new campaign, or go on all the same with --accept-changes")
            for planned in chosen:
                until = None if options.rounds is None else writer.trial(planned.trial_id).rounds + options.rounds
                writer.note(planned.trial_id, changes[planned.trial_id], until)
                writer.set_state(planned.trial_id, "planned", None)
            with Progress(0, None if options.quiet else sys.stderr) as waiting:
                waiting.say(f"going on with {len(chosen)} of {len(writer.record.trials)} trials in {writer.directory}")
            further = None if question is None else Explorer(question, site, writer, began_s, seconds_spent(searches))
            code = measure(writer, campaign, chosen, options.quiet, site, _rules(writer), options.full, further)
            return code if question is None else exit_code(code, writer.directory, question)


def _chosen(writer: CampaignWriter, options: GoingOn) -> list[PlannedTrial]:
    """Return the trials to go on with."""
    if options.verb == "extend":
        wanted: tuple[str, ...] = ("done",)
    else:
        wanted = (*UNFINISHED, "failed") if options.retry_failed else UNFINISHED
    return [planned for planned in writer.record.trials if planned.state in wanted]


def _advice(writer: CampaignWriter) -> str:
    states = [planned.state for planned in writer.record.trials]
    if unfinished := sum(state in UNFINISHED for state in states):
        return f"; {unfinished} trials are not finished: finish them first with `resume {shlex.quote(str(writer.directory))}`"
    failed = states.count("failed")
    return f"; {failed} trials failed: add --retry-failed to try them again" if failed else ""


def list_changes(writer: CampaignWriter, campaign: CampaignConfig, chosen: Sequence[PlannedTrial], site: Site) -> dict[str, list[str]]:
    """Return per trial, one line each, what has changed since the campaign was begun: code, data, weights, host.

    Raises
    ------
    InputError
        if a trial has no machine or lacks its model or data.
    """
    of_code = _code_changes(writer.record, campaign)
    changes = {planned.trial_id: [*of_code] for planned in chosen}
    for planned, candidate in zip(chosen, look_at(site, [(planned.trial, "") for planned in chosen]), strict=True):
        if candidate.machine is NOWHERE or candidate.missing:
            raise InputError(f"{planned.trial_id}: {candidate.missing[0]}")
        if match_key(candidate.trial, candidate.inspection) != planned.match_key:
            variables = variables_in(planned.trial)
            what = f"data, weights or environment variables ({', '.join(variables)})" if variables else "data or weights"
            changes[planned.trial_id].append(f"the {what} of {planned.trial_id} have changed since the campaign was begun")
        stored = writer.read_trial(planned.trial_id)
        known = {process.host for process in stored.processes} if stored is not None else set()
        if known and candidate.machine.host not in known:
            changes[planned.trial_id].append(
                f"{planned.trial_id} was measured on {', '.join(sorted(known))} and would go on on {candidate.machine.host}"
            )
    return changes


def _code_changes(record: CampaignRecord, campaign: CampaignConfig) -> list[str]:
    """Return one line where code that measures has changed, or none."""
    message = f"the code has changed since the campaign was begun with version {record.code_version}"
    if not all(name.endswith(".py") for name in record.code_files) or not record.code_files:  # until 0.2.0 by module, or one digest of all
        same = record.code_digest in (None, digest_code(campaign.code))
        return [] if same else [f"{message}, which identified code in another way"]
    now = code_files(campaign.code)
    changed = [name for name in sorted({*now, *record.code_files}) if now.get(name) != record.code_files.get(name)]
    more = f" and {len(changed) - FILES_NAMED} more" if len(changed) > FILES_NAMED else ""
    return [f"{message}: {', '.join(changed[:FILES_NAMED])}{more}"] if changed else []


def _rules(writer: CampaignWriter) -> Callable[[PlannedTrial, str | None], StoppingRule]:
    """Return the rule of each trial: its own, or the number of rounds at which its extension ends."""

    def of_trial(planned: PlannedTrial, primary: str | None) -> StoppingRule:
        stored = writer.read_trial(planned.trial_id)
        until = None if stored is None else stored.extension
        if until is None:
            return own_rule(planned, primary)
        return make_rule("rounds", min_rounds=until, max_rounds=until, primary=primary)

    return of_trial
