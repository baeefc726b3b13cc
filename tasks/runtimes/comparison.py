"""Whether a session answers what eager PyTorch answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.runtimes.session import Array, Inputs, Session, map_arrays
from tasks.runtimes.torch_eager import forward_of

RELATIVE_TOLERANCE = {"cpu": 1e-5, "cuda": 1e-3}
"""By device, of the largest answer. GPUs multiply float32 in TF32 with 10 bits of fraction, 2^-10 = 1e-3."""
SMALLEST_SCALE = 10.0
"""Answers below this size are compared as if they had it: logits near zero are differences of larger numbers."""


def compare_with_eager(session: Session, network: Any, example: Inputs, device: str) -> dict[str, float]:
    """Return the largest absolute difference between a session's and eager PyTorch's answers, and the tolerance.

    Parameters
    ----------
    network
        the ``torch.nn.Module`` in float32 on the CPU, in evaluation mode.
    device
        ``cpu`` or ``cuda``, where the session computes.

    Returns
    -------
    ``largest_difference`` and ``tolerance``, both in the unit of the answers. On the CPU the tolerance is 1e-4 for answers
    within +-10 and grows in proportion beyond.

    Raises
    ------
    ArithmeticError
        where an answer is not finite, or a difference exceeds the tolerance: the session would answer for another model.
    """
    import torch

    # A copy, because a network may change its inputs in place.
    with torch.inference_mode():
        expected = forward_of(network, example)(map_arrays(torch.tensor, example))
    eager = [tensor.numpy() for tensor in (expected if isinstance(expected, tuple | list) else (expected,))]
    answers = session.download(session.infer(session.upload(example)))
    return measured_difference(list(answers) if isinstance(answers, tuple) else [answers], eager, RELATIVE_TOLERANCE[device])


def measured_difference(answers: list[Array], expected: list[Array], relative: float) -> dict[str, float]:
    """Return ``largest_difference`` and ``tolerance`` of lists of arrays of equal shapes. Raises ArithmeticError."""
    difference, scale = 0.0, SMALLEST_SCALE
    for answer, reference in zip(answers, expected, strict=True):
        if answer.shape != reference.shape:
            raise ArithmeticError(f"the session answers in shape {answer.shape}, eager PyTorch in {reference.shape}")
        if not (np.isfinite(answer).all() and np.isfinite(reference).all()):
            raise ArithmeticError("the network answers with NaN or infinity on random inputs")
        difference = max(difference, float(np.abs(answer.astype(np.float64) - reference).max(initial=0.0)))
        scale = max(scale, float(np.abs(reference).max(initial=0.0)))
    tolerance = relative * scale
    if difference > tolerance:
        raise ArithmeticError(f"answers differ from eager PyTorch's by {difference:.3g}, more than {tolerance:.3g}")
    return {"largest_difference": difference, "tolerance": tolerance}
