"""``resume DIR`` goes on with an interrupted campaign; no stored round is measured again."""

import os
import shlex
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.machinery import all_suffixes
from itertools import chain
from pathlib import Path

from orchestrator.commands.line import flag, going_on, verb
from orchestrator.contracts import InputError
from orchestrator.machine.other_users import exchangers, others_of, user_named
from orchestrator.storage.layout import CAMPAIGN, OVERRIDES


@verb("resume results/latest", "resume results/latest --retry-failed")
@flag("--retry-failed", help="measure failed trials too")
@going_on
def command(
    found: tuple[Path, ...],
    overrides: tuple[str, ...],
    retry_failed: bool,
    accept_changes: bool,
    trust: bool,
    full: bool,
    quiet: bool,
) -> int:
    """Go on with an interrupted campaign.

    Measure what a campaign lacks; no stored round is measured again. This runs the models and tasks that the campaign
    names, as you. If another user could have written them or the campaign, it refuses, unless --trust is given.
    """
    from orchestrator.storage.schema import UNFINISHED

    states = (*UNFINISHED, "failed") if retry_failed else UNFINISHED
    return go_on("resume", found[0], overrides, states, None, accept_changes, trust, full, quiet)


def go_on(
    verb: str,
    directory: Path,
    overrides: tuple[str, ...],
    states: tuple[str, ...],
    rounds: int | None,
    accept_changes: bool,
    trust: bool,
    full: bool,
    quiet: bool,
) -> int:
    """Measure the trials of a campaign that are in these states, finished ones for so many ``rounds`` more. Returns the exit code."""
    from orchestrator.analysis.capacity import is_older, seconds_spent
    from orchestrator.commands.measuring import list_changes, looked_at, measure, rule_of_extension
    from orchestrator.commands.planning import open_site
    from orchestrator.commands.searching import exit_code, exploring, searches_in
    from orchestrator.compare.sides import going_on
    from orchestrator.configuration.composition import override_cluster
    from orchestrator.storage.reader import open_campaign
    from orchestrator.storage.schema import UNFINISHED
    from orchestrator.storage.writer import CampaignWriter
    from orchestrator.subject.targets import add_code_folders, check_packages

    began_s = time.monotonic()
    stored = open_campaign(directory)
    known = stored.trials()
    if imported := next((record for record in known if record.imported), None):
        remedy = "measure more where it was measured, and import it again"
        raise InputError(f"{imported.trial_id} is imported, and there is nothing to {verb}: {remedy}", "unsupported")
    if verb == "resume" and stored.record.pairing is not None and any(record.state in UNFINISHED for record in known):
        raise InputError(
            f"{directory} is a side of a pair, and no verdict comes of sides measured apart; go on with: {going_on(stored)}", "conflict"
        )
    question = stored.record.capacity if verb == "resume" else None
    if question is not None and any(is_older(planned.trial) for planned in stored.record.trials):  # which chose its rates in another way
        raise InputError(
            f"this search was begun by version {stored.record.code_version} and can only be reported; begin a new one", "unsupported"
        )
    refuse_strangers_code(verb, directory, stored.record.config.code, trust)
    with CampaignWriter.reopen(directory, look=looked_at(trust)) as writer:
        campaign = override_cluster(writer.record.config, overrides)
        check_packages()
        add_code_folders(campaign.code)
        trials = writer.record.trials
        chosen = [planned for planned in trials if planned.state in states]
        searches = [] if question is None else searches_in(writer.directory, question)
        if not chosen and not any(search.next_rates().rates for search in searches):
            states_now = ", ".join(f"{count} {state}" for state, count in Counter(planned.state for planned in trials).items())
            advice = f"`resume {shlex.quote(str(writer.directory))}` finishes trials, with --retry-failed those that failed, too"
            raise InputError(f"{writer.directory} has nothing to go on with ({states_now}): {advice}", "no_data")
        with open_site(campaign, [planned.trial for planned in (chosen or trials)]) as site:
            changes = list_changes(writer, campaign, chosen or trials, site)
            different = list(dict.fromkeys(chain.from_iterable(changes.values())))
            if different and not accept_changes:
                more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
                raise InputError(
                    f"{different[0]}{more}: measure a new campaign, or go on all the same with --accept-changes",
                    "incomparable",
                    "--accept-changes",
                )
            for planned in chosen:
                until = None if rounds is None else writer.trial(planned.trial_id).rounds + rounds
                writer.note(planned.trial_id, changes[planned.trial_id], until)
                writer.set_state(planned.trial_id, "planned", None)
            said = [f"going on with {len(chosen)} of {len(trials)} trials in {writer.directory}"]
            further = None if question is None else exploring(question, site, writer, began_s - seconds_spent(searches))
            code = measure(writer, chosen, site, quiet, full, partial(rule_of_extension, writer), further, said)
            return code if question is None else exit_code(code, writer.directory, question)


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
    # The records that say which code a campaign runs, and the folders in which they could be replaced.
    records = [directory, *(directory / name for name in (CAMPAIGN, OVERRIDES, "trials"))]
    records += [path for trial in sorted(directory.glob("trials/*")) for path in (trial, trial / "trial.json")]
    found = [*strangers([*records, *files]), *dict.fromkeys(chain.from_iterable(map(exchangers, ways)))]
    if not found:
        return
    more = f" (and {len(found) - 1} more of its files and folders)" if len(found) > 1 else ""
    message = f"{found[0]}{more}: {verb} runs the code that a campaign names, as you"
    if not trust:
        raise InputError(f"{message}; see that you trust all of it, and add --trust", "unsafe", "--trust")
    print(f"--trust: {message}", file=sys.stderr)  # noqa: T201


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
            yield f"{path} belongs to {user_named(status.st_uid)}, another user"
        elif status.st_mode & stat.S_IWOTH:
            yield f"{path} can be written by every user"
        elif status.st_mode & stat.S_IWGRP and (others := others_of(status.st_gid)):
            yield f"{path} can be written by the group {others}"
