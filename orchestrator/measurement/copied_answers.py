"""Batches whose answers are copied as soon as they are there, so that a model is found out that changes what it has returned.

Rounds that count keep what a model returns, and read it when all batches have ended: a copy in between would stand in their gaps. What a
model does to its answers shows in the warm-up, too.
"""

import time
from collections.abc import Sequence
from copy import deepcopy
from traceback import TracebackException
from typing import Any

from orchestrator.measurement.failures import TrialFailed, refuse_miscounted
from orchestrator.measurement.round_tables import digest_answers, right_form
from orchestrator.measurement.timing import STAMPS, Clock, Stages, run_batches


def run_copied(
    kind: str,
    model: str,
    batches: Sequence[Any],
    stages: Stages,
    stamps: memoryview,
    clock: Clock = time.perf_counter_ns,
    first_raised: list[TracebackException] | None = None,
) -> tuple[list[Any], dict[int, str]]:
    """Time all batches and return what `run_batches` returns, the answers as they were when the model returned them.

    Raises
    ------
    TrialFailed
        if an answer is another one when all batches have ended, or has not the form of its kind, or there is not one per sample.
    """
    kept: list[Any] = []
    copies: list[Any] = []
    errors: dict[int, str] = {}
    with right_form(kind, f"the answers of model {model}"):
        for number, batch in enumerate(batches):
            own = stamps[STAMPS * number : STAMPS * (number + 1)]
            (answered,), raised = run_batches([batch], stages, own, clock, first_raised)
            if raised:
                errors[number] = raised[0]
            elif answered is not None:
                refuse_miscounted(answered, len(batch))
            kept.append(answered)
            copies.append(deepcopy(answered))
        if digest_answers(kept) != digest_answers(copies):
            raise TrialFailed(
                f"model {model} changes answers that it has returned already; each answer must be an object of its own, which stays as it "
                "is: let postprocess return a new one each time, or a copy",
                "answers malformed",
            )
    return copies, errors
