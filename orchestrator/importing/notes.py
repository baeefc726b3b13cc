"""What a reader must know of an imported trial: how its rounds came about, and on what its clocks rest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.importing.moments import Moments
from orchestrator.importing.recording import Recording, dropped
from orchestrator.importing.rounds import Arrangement
from orchestrator.importing.spool import COUNTS, Spool

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
        *_of_tokens(spool),
        *([] if is_judged(spool) else [NOT_JUDGED]),
    )


def _of_tokens(spool: Spool) -> Iterator[str]:
    """Yield what the clocks of tokens rest on, where there are any."""
    if not spool.has("first_token_ns") or not spool.column("first_token_ns").any():
        return
    if not spool.has("tokens") or not spool.column("tokens").any():
        yield f"{TO_FIRST}; {NO_NUMBER}."
        return
    told = spool.has(COUNTS) or any(name.startswith("last_token_") for name in spool.present)
    yield f"{TO_FIRST}; {PER_TOKEN}{'' if told else f': {END_AS_LAST}'}."
