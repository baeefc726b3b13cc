from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError

Times: TypeAlias = NDArray[np.int64] | NDArray[np.float64]
"""Times in nanoseconds: integers, or floats where +inf stands for a sample whose outcome was not ``ok``."""


class Clock(StrEnum):
    """What the time of an inference counts. A clock is known by its name in every table; its time is the sum of its stages.

    Of streamed answers there are two more: from the arrival (in a closed loop, the start) to the first token, and between two tokens.
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
PRIMARY_CLOCK = Clock.TOTAL
"""What rules, gates and rankings look at in a closed loop, and what is shown where one clock is."""
SERVICE_CLOCKS = (Clock.INFERENCE, Clock.TOTAL)
"""The clocks that every trial has. Where samples arrive by a schedule there is ``response`` too, from the arrival to the answer."""
LOAD_CLOCKS = (*SERVICE_CLOCKS, Clock.RESPONSE)
"""The clocks of a trial under load."""


def primary_of(clocks: Collection[Clock]) -> Clock:
    """Return the clock that counts first: ``response`` under load, else ``total``."""
    return Clock.RESPONSE if Clock.RESPONSE in clocks else PRIMARY_CLOCK


def shown(clocks: Collection[Clock]) -> tuple[Clock, ...]:
    """Return clocks in the order in which a reader is offered them."""
    first = primary_of(clocks)
    return tuple(sorted(clocks, key=lambda clock: (clock != first, clock != PRIMARY_CLOCK)))


SHOWN_SERVICE_CLOCKS = shown(SERVICE_CLOCKS)
"""The same in the order in which a reader is offered them."""


def checked_times(times: ArrayLike) -> Times:
    """Return times as int64 or float64, refusing what cannot be a time.

    Parameters
    ----------
    times : any shape
        times in ns; +inf is a sample that has none.

    Raises
    ------
    InputError
        if a time is NaN, zero or negative, or if the values are no numbers.

    Examples
    --------
    >>> checked_times([3, 5])
    array([3, 5])
    """
    given = np.asarray(times)
    if given.dtype.kind not in "iuf":
        raise InputError(f"times of type {given.dtype} are no numbers: give integers, or floats with inf for a late sample")
    checked: Times = given.astype(np.float64, copy=False) if given.dtype.kind == "f" else given.astype(np.int64, copy=False)
    if checked.size:
        smallest = checked.min()
        if not smallest > 0:  # NaN compares false as well
            raise InputError(f"a time of {smallest} ns was given: times are positive numbers of ns, inf where there is none")
    return checked
