"""Which systems were measured on several machines, so that their sessions are no sessions of one."""

from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator.storage.records import TrialRecord

SHOWN = 4
"""Hosts that are named."""


def machines_in_words(records: Sequence[TrialRecord]) -> Iterator[str]:
    """Yield one sentence per set of several hosts that trials of one match key ran on, by the records of all campaigns."""
    hosts: dict[str, set[str]] = {}
    for record in records:
        hosts.setdefault(record.match_key, set()).update(process.host for process in record.processes)
    for names, systems in Counter(tuple(sorted(of)) for of in hosts.values() if len(of) > 1).items():
        named = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        which = "one system was" if systems == 1 else f"{systems} systems were"
        yield f"{which} measured on several machines ({named}): processes and sessions are those of all of them"
