from collections.abc import Collection
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError

# In ns: integers, or floats where +inf stands for a sample whose outcome was not ``ok``.
Times: TypeAlias = NDArray[np.int64] | NDArray[np.float64]


class Clock(StrEnum):
    """What the time of an inference counts: the sum of its stages. Tables know it by its name.

    Streamed answers have two more: from the arrival (in a closed loop, the start) to the first
    token, and between two tokens.
    """

    INFERENCE = "inference"
    TOTAL = "total"
    RESPONSE = "response"
    FIRST_TOKEN = "first_token"  # noqa: S105 - of an answer
    PER_TOKEN = "per_token"  # noqa: S105

    @property
    def stages(self) -> tuple[str, ...]:
        """The columns of the timings whose sum it is."""
        return STAGES_OF[self]


STAGES_OF = {
    Clock.INFERENCE: ("inference_ns",),
    Clock.TOTAL: ("preprocess_ns", "inference_ns", "postprocess_ns"),
    Clock.RESPONSE: ("queue_ns", "preprocess_ns", "inference_ns", "postprocess_ns"),
    Clock.FIRST_TOKEN: ("queue_ns", "preprocess_ns", "first_token_ns"),
    Clock.PER_TOKEN: (),  # (last - first token) / (tokens - 1)
}
# What rules, gates and rankings look at in a closed loop.
PRIMARY_CLOCK = Clock.TOTAL
# Every trial has these; under load there is also the response, from the arrival to the answer.
SERVICE_CLOCKS = (Clock.INFERENCE, Clock.TOTAL)
LOAD_CLOCKS = (*SERVICE_CLOCKS, Clock.RESPONSE)


def primary_of(clocks: Collection[Clock]) -> Clock:
    """Return the clock that counts first: ``response`` under load, else ``total``."""
    return Clock.RESPONSE if Clock.RESPONSE in clocks else PRIMARY_CLOCK


def shown(clocks: Collection[Clock]) -> tuple[Clock, ...]:
    """Return clocks in the order in which a reader is offered them."""
    first = primary_of(clocks)
    return tuple(sorted(clocks, key=lambda clock: (clock != first, clock != PRIMARY_CLOCK)))


SHOWN_SERVICE_CLOCKS = shown(SERVICE_CLOCKS)


def checked_times(times: ArrayLike) -> Times:
    """Return times in ns as int64 or float64, of any shape; +inf is a sample without one.

    Raises InputError if a time is NaN, zero or negative.
    """
    given = np.asarray(times)
    checked: Times = (
        given.astype(np.float64, copy=False)
        if given.dtype.kind == "f"
        else given.astype(np.int64, copy=False)
    )
    if checked.size and not checked.min() > 0:  # NaN compares false as well
        raise InputError(
            f"a time of {checked.min()} ns was given: "
            "times are positive numbers of ns, inf where there is none",
            value=checked.min(),
        )
    return checked
