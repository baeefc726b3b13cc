"""What a server said of each sample, as columns of timings. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.contracts import Reply


def answer_columns(replies: Sequence[Reply | None], sent_ns: npt.NDArray[np.int64], late: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return the columns ``schema.ANSWER``, of which moments count from the start of inference.

    Parameters
    ----------
    replies
        of each sample; None where no server answered.
    sent_ns, late
        the start of inference of each sample, and whether its outcome is other than ``ok``; shape [N]. What is late has no columns.
    """
    answered = [reply if reply is not None and not is_late else None for reply, is_late in zip(replies, late, strict=True)]
    sent = sent_ns.tolist()

    def after(moments: Iterable[int]) -> pa.Array:
        return pa.array([at - begun if at else None for at, begun in zip(moments, sent, strict=True)], pa.int64())

    return {
        "headers_ns": after(0 if reply is None else reply.headers_ns for reply in answered),
        "first_token_ns": after(0 if reply is None else reply.first_token_ns for reply in answered),
        "last_token_ns": after(0 if reply is None else reply.last_token_ns for reply in answered),
        "tokens": pa.array([None if reply is None or not reply.tokens else reply.tokens for reply in answered], pa.int32()),
        "token_gaps_ns": pa.array(
            [None if reply is None or not reply.first_token_ns else reply.gaps_ns for reply in answered], pa.list_(pa.int64())
        ),
    }
