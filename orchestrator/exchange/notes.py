"""What a reader must know of an imported trial: how its rounds came about, and on what its clocks rest. Pure."""

from collections.abc import Iterator

import numpy as np

from orchestrator.exchange.moments import Moments
from orchestrator.exchange.recording import Recording, dropped
from orchestrator.exchange.rounds import Arrangement
from orchestrator.exchange.spool import COUNTS, Flags, Spool
from orchestrator.storage import schema

ONE_TIME = "The file has one time per request: the clocks inference and total are the same"
STAGES = "The file has times of stages: total is their sum"
RESPONSE = (
    "The clock response runs from the scheduled time in the file to the answer. By how much the program that measured began late is the "
    "own delay of the table Schedules. No ramp is left out."
)
TO_FIRST = "The clock first_token runs from the scheduled time, or the beginning where there is none, to the first token"
PER_TOKEN = "per_token from there to the last, divided by the tokens between"  # noqa: S105 - of an answer
END_AS_LAST = "where the file does not say when the last came, it came with the end of the answer"
NO_NUMBER = "there is no clock per_token, since the file does not say how many tokens an answer has"
NO_FIRST = "Answers of which the file has no first token, and which so are late by the clocks of tokens"
NO_TOKENS = "Answers of which the file has no number of tokens, or 0, and whose per_token so is as of a single one, from there to their end"
NOT_JUDGED = (
    "The file holds no scores, so that nothing is known of quality: on_time counts every answer as right, and its tail quality is the "
    "share of answers in time."
)


def is_judged(spool: Spool) -> bool:
    """Return whether a recording has scores, or answers with references."""
    return "reference" in spool.present or any(name.startswith("score_") for name in spool.present)


def notes_of(recording: Recording, spool: Spool, made: Arrangement, moments: Moments, why_closed: str | None) -> tuple[str, ...]:
    """Return the sentences, in order. ``why_closed``: None where there is a schedule, empty where the file holds none."""
    clocks = STAGES if spool.has("preprocess_ns") or spool.has("postprocess_ns") else ONE_TIME
    return (
        *recording.remarks,
        made.how,
        *moments.told,
        f"{clocks}, and there is no response time from the schedule." if why_closed == "" else f"{clocks}.",
        *([dropped("the scheduled times in the file as a clock response", why_closed)] if why_closed else []),
        *([RESPONSE] if why_closed is None else []),
        *_of_tokens(recording, spool),
        *([] if is_judged(spool) else [NOT_JUDGED]),
    )


def _of_tokens(recording: Recording, spool: Spool) -> Iterator[str]:
    """Yield what the clocks of tokens rest on, where there are any."""
    if not spool.has("first_token_ns") or not spool.column("first_token_ns").any():
        return
    ok, first = spool.column("outcome") == schema.OK, spool.column("first_token_ns") != 0
    counted = spool.has("tokens") and spool.column("tokens").any()
    told = spool.has(COUNTS) or any(name.startswith("last_token_") for name in spool.present)
    yield f"{TO_FIRST}; {(PER_TOKEN if told else f'{PER_TOKEN}: {END_AS_LAST}') if counted else NO_NUMBER}."
    yield from _without(recording, ok, ok & ~first, NO_FIRST)
    if counted:
        yield from _without(recording, ok, ok & first & (spool.column("tokens") == 0), NO_TOKENS)


def _without(recording: Recording, ok: Flags, lacking: Flags, told: str) -> Iterator[str]:
    """Yield how many answers lack something, [rows], if there are any, and which is the first."""
    if lacking.any():
        place = recording.where(int(np.flatnonzero(lacking)[0]))
        yield f"{told}: {np.count_nonzero(lacking):,} of {np.count_nonzero(ok):,}, {place} first."
