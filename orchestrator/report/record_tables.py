"""Tables of what records say: faults, accepted changes, missing answers, servers, and size."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.claims import CLAIMS, Claim, lacking, rounds_of
from orchestrator.analysis.flags import missing as missing_settings
from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.report.table import Table, who, who_columns
from orchestrator.report.text import milliseconds, per_cent, quality, seconds
from orchestrator.storage import schema
from orchestrator.storage.records import SERVER_STARTED, TrialRecord

MOST_SAMPLES, LONGEST_COMMAND = 20, 300
# Outcomes that are faults. What a policy drops under load is none.
FAILED = ("error", "timeout", "lost")


def fault_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield faults, accepted changes, samples without an answer, and incomplete rounds."""
    yield from _table(
        "Faults",
        [
            {
                "trial": record.trial_id,
                "fault": fault.name,
                "process": str(fault.process),
                "round in flight": "" if fault.round is None else str(fault.round),
                "what happened": fault.message,
            }
            for record in results.records
            for fault in record.faults
        ],
        "After its first fault a trial goes on in a fresh process. An unfinished round is stored "
        "as far as it came, or measured again if the machine or the network lost it.",
    )
    yield from _table(
        "Changes accepted",
        [
            {"trial": record.trial_id, "what had changed before it went on": change}
            for record in results.records
            for change in record.changes
        ],
        "Rounds of these trials were measured with different code, data or hosts: no deadline is "
        "certified from them.",
    )
    for group in results.groups:
        missing = [row for data in group.trials for row in _unanswered(data)]
        more = len(missing) - MOST_SAMPLES
        yield from _table(
            f"Samples of {group.task} without an answer",
            missing[:MOST_SAMPLES],
            "They count as late at every threshold. `inspect` with their trial says why."
            + (f" {more} more are not shown." if more > 0 else ""),
            [f"rounds {name}" for name in FAILED],
        )
        yield from _two_readings(group)


def server_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task the servers that answered, then those that the campaign has started."""
    for group in results.groups:
        served = [data for data in group.trials if data.record.trial.server.is_asked]
        names = who_columns(group)
        rows = [
            {**dict(zip(names, who(data.record.labels(), group), strict=True)), **_server(data)}
            for data in served
        ]
        yield from _table(
            f"Servers of {group.task}",
            rows,
            "Inference is from sending a request to the last byte of its answer, network included; "
            "preprocess and postprocess are the client's. The client's own part (p50, p99) is "
            "measured against a server on its host that answers at once, by "
            "benchmarks/client_cost.py or by older trials. The weights behind a server are "
            "unknown. No request was sent twice.",
            list(_server(served[0]))[1:] if served else (),
        )
    started = [
        (data.record, data.record.facts.get(SERVER_STARTED))
        for group in results.groups
        for data in group.trials
    ]
    yield from _table(
        "Servers started",
        [_started(record, found) for record, found in started if isinstance(found, Mapping)],
        "Each server ran on its client's host, on other cores, from before the model was loaded to "
        "after the last round. The output for process N is in server-N.log in the trial's folder.",
        ["processes", "ready after"],
    )


def client_part(
    record: TrialRecord, what: str, at_once: bool = False
) -> tuple[float, float] | None:
    """Return the client's own part of a ``request`` or a ``total``; None where it is not known.

    ``at_once`` chooses that of requests as the trial sends them, several at once.
    """
    figures = record.facts.get("client")
    if at_once and isinstance(figures, Mapping):
        figures = figures.get("at_once")
    known = figures if isinstance(figures, Mapping) else {}
    part: list[Any] = [known.get(f"{what}_{word}_ns") for word in ("p50", "p99")]
    usable = all(type(one) in (int, float) and 0 <= one < 2**53 for one in part)
    return (float(part[0]), float(part[1])) if usable else None


def _table(
    title: str, rows: Sequence[Mapping[str, str]], note: str, right: Iterable[str] = ()
) -> Iterator[Table]:
    if rows:
        yield Table(
            title, list(rows[0]), [list(row.values()) for row in rows], note, frozenset(right)
        )


def _unanswered(data: TrialData) -> list[dict[str, str]]:
    codes = [schema.OUTCOMES.index(name) for name in FAILED]
    counts = np.stack([(data.outcome == code).sum(axis=0) for code in codes])
    affected = np.flatnonzero(counts.any(axis=0))
    order = affected[np.argsort(-counts[:-1, affected].sum(axis=0), kind="stable")].tolist()
    return [
        {
            "trial": data.trial_id,
            "sample": data.names[sample],
            **{f"rounds {name}": str(counts[at, sample]) for at, name in enumerate(FAILED)},
        }
        for sample in order
    ]


def _two_readings(group: Group) -> Iterator[Table]:
    cut = [data for data in group.trials if data.incomplete.any() and not data.incomplete.all()]
    if not cut:
        return
    primary = group.thresholds.primary
    if primary:
        bound_ns, label = float(primary.ns), primary.label
    else:  # every answer that came at all is on time
        bound_ns = max(float(data.times[data.clock][~data.incomplete].max()) for data in cut)
        label = "the longest time measured"
    rows = []
    for data in cut:
        rounds = data.judged(data.metric).curve(data.times[data.clock], [bound_ns])[0]
        rows.append(
            {
                "trial": data.trial_id,
                "incomplete rounds": str(int(data.incomplete.sum())),
                "mean, as late": quality(rounds.mean()),
                "worst, as late": quality(rounds.min()),
                "mean, left out": quality(rounds[~data.incomplete].mean()),
                "worst, left out": quality(rounds[~data.incomplete].min()),
            }
        )
    yield from _table(
        f"Incomplete rounds of {group.task} within {label} ({milliseconds(bound_ns)}): two "
        "readings",
        rows,
        "What was not measured counts as late, as in every other table, or its rounds are left "
        "out.",
        list(rows[0])[1:],
    )


def _server(data: TrialData) -> dict[str, str]:
    def own(what: str, at_once: bool = False) -> str:
        return ", ".join(map(milliseconds, client_part(data.record, what, at_once) or ())) or "-"

    return {
        "server": data.record.trial.server.name,
        "in flight": str(data.record.trial.in_flight),
        "requests": f"{data.outcome.size:,}",
        "errors": f"{(data.outcome == schema.ERROR).sum():,}",
        "timeouts": f"{(data.outcome == schema.TIMEOUT).sum():,}",
        "cached prompt tokens": per_cent(data.cached_share),
        "client, request": own("request"),
        "client, total": own("total"),
        "client, several at once": own("total", at_once=True),
    }


def _started(record: TrialRecord, found: Mapping[str, Any]) -> dict[str, str]:
    cores, command = (
        [str(one) for one in found[name]] if isinstance(found.get(name), list) else []
        for name in ("cores", "command")
    )
    packages, ready = found.get("packages"), found.get("ready_s")
    versions = [str(found["version"])] if found.get("version") else []
    if isinstance(packages, Mapping):
        versions += [f"{name} {version}" for name, version in packages.items()]
    return {
        "trial": record.trial_id,
        "server": str(found.get("name", "")),
        "cores": ",".join(cores),
        "processes": str(found.get("processes", "")),
        "ready after": f"{ready:.3g} s" if isinstance(ready, int | float) else "-",
        "versions": ", ".join(versions) or "-",
        "command": " ".join(command)[:LONGEST_COMMAND],
    }


def claims_table(trials: Sequence[tuple[float, float, float]], note: str = "") -> Table:
    """Return a row per claim, with what it takes of all trials.

    Takes of each trial how long a round lasts, in s, the rounds of a visit, and the pause after it,
    in lengths of a visit.
    """
    rows = []
    for claim in CLAIMS:
        rounds = [rounds_of(claim, per_visit) for _, per_visit, _ in trials]
        size = [str(max(rounds, default=claim.rounds)), _took(claim, trials)]
        rows.append([claim.what, str(claim.visits), *(size if claim.rounds else "--")])
    return Table(
        title="What each claim takes",
        columns=["claim", "visits", "rounds", "time"],
        rows=rows,
        note=note,
        right=frozenset(["visits", "rounds", "time"]),
    )


def _took(claim: Claim, trials: Sequence[tuple[float, float, float]]) -> str:
    """Return the time of trials that take turns.

    That is all visits, or those of one trial and its pauses where these are longer.
    """
    each = [(round_s * rounds_of(claim, per_visit), pause) for round_s, per_visit, pause in trials]
    longest_s = max((s * (1 + pause) for s, pause in each), default=0.0)
    return seconds(max(sum(s for s, _ in each), longest_s))


def too_short_for(trials: Sequence[TrialData]) -> dict[str, Any] | None:
    """Return what the shortest of these trials are too short to show; None if nothing.

    And how long a sweep that could takes.
    """
    measured = [data for data in trials if not data.record.imported]
    rounds = min((len(data.times[data.clock]) for data in measured), default=0)
    visits = min((data.visit_count for data in measured), default=0)
    missing = lacking(visits, rounds) if measured else []
    if not missing:
        return None
    per_visit = rounds / visits if visits > 1 else 1.0
    sizes = [
        (
            float(np.nanmean(data.evidence["duration_ns"])) / 1e9,
            per_visit,
            data.record.trial.measurement.pause,
        )
        for data in measured
    ]
    longest = max(missing, key=lambda claim: rounds_of(claim, per_visit))
    least = f"measurement.min_rounds={rounds_of(longest, per_visit)}"
    return {
        "rounds": rounds,
        "visits": visits,
        "missing": [claim.what for claim in missing],
        "claims": sum(claim.rounds > 0 for claim in CLAIMS),
        "settings": " ".join(
            missing_settings(least, [one.record.trial for one in measured]) or [least]
        ),
        "takes": _took(longest, sizes),
    }
