"""How far a session's answers are from those of eager PyTorch in float32 on the CPU."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from orchestrator.contracts import LoadContext
from tasks.runtimes.session import Array, Inputs, Session, forward_of, map_arrays

RELATIVE_TOLERANCE = {"fp32": 1e-5, "fp16": 10 * 2.0**-10, "bf16": 10 * 2.0**-7}
"""By dtype, of the largest answer: 84 steps of float32's precision on a CPU, 10 of the shorter formats'."""
TF32_TOLERANCE = 1e-3
"""GPUs multiply float32 in TF32 with 10 bits of fraction, 2^-10 = 1e-3."""
SMALLEST_SCALE = 10.0
"""Answers below this size are compared as if they had it: logits near zero are differences of larger numbers."""

Cases: TypeAlias = list[tuple[Inputs, list[Array]]]
"""Inputs with eager PyTorch's outputs."""


def eager_cases(network: Any, example: Inputs, smaller: bool = False) -> Cases:
    """Return the example with the answers of the network, to be called before the network is moved or changed.

    Parameters
    ----------
    network
        a ``torch.nn.Module`` in evaluation mode. Where its weights are not in float32 on the CPU there is nothing to compare
        with and the list is empty.
    smaller
        also the first sample alone, where the example has several: a graph may have learnt their number by heart.
    """
    import torch

    weights = [weight for weight in network.parameters() if weight.is_floating_point()]
    if any(weight.dtype != torch.float32 or weight.device.type != "cpu" for weight in weights):
        return []
    inputs = [example]
    if smaller and _samples(example) > 1:
        inputs.append(map_arrays(lambda array: array[:1], example))
    return [(case, _eager_answers(network, case)) for case in inputs]


def largest_difference(session: Session, cases: Cases, context: LoadContext) -> dict[str, float]:
    """Return ``largest_difference`` and ``tolerance`` over all cases, both in the unit of the answers; nothing without a case.

    Raises
    ------
    ArithmeticError
        where an answer has another shape than eager PyTorch's or is not finite: the session answers for another model.
    """
    if not cases:
        return {}
    answers: list[Array] = []
    for inputs, _ in cases:
        outputs = session.download(session.infer(session.upload(inputs)))
        answers += outputs if isinstance(outputs, tuple) else (outputs,)
    return measured_difference(answers, [answer for _, expected in cases for answer in expected], relative_tolerance(context))


def relative_tolerance(context: LoadContext) -> float:
    """Return the difference that rounding explains, as a fraction of the largest answer."""
    if context.dtype == "fp32" and context.device != "cpu":
        return TF32_TOLERANCE
    return RELATIVE_TOLERANCE[context.dtype]


def measured_difference(answers: list[Array], expected: list[Array], relative: float) -> dict[str, float]:
    """Return ``largest_difference`` and ``tolerance`` of lists of arrays of equal shapes.

    The difference is the largest absolute one; the tolerance is ``relative`` of the largest expected answer, or of
    ``SMALLEST_SCALE`` if that is larger. Raises ArithmeticError for other shapes and for values that are not finite.
    """
    difference, scale = 0.0, SMALLEST_SCALE
    for answer, reference in zip(answers, expected, strict=True):
        if answer.shape != reference.shape:
            raise ArithmeticError(f"the session answers in shape {answer.shape}, eager PyTorch in {reference.shape}")
        if not (np.isfinite(answer).all() and np.isfinite(reference).all()):
            raise ArithmeticError("the network answers with NaN or infinity on random inputs")
        difference = max(difference, float(np.abs(answer.astype(np.float64) - reference).max(initial=0.0)))
        scale = max(scale, float(np.abs(reference).max(initial=0.0)))
    return {"largest_difference": difference, "tolerance": relative * scale}


def _eager_answers(network: Any, inputs: Inputs) -> list[Array]:
    import torch

    # A copy, because a network may change its inputs in place.
    with torch.inference_mode():
        outputs = forward_of(network, inputs)(map_arrays(torch.tensor, inputs))
    return [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple | list) else (outputs,))]


def _samples(inputs: Inputs) -> int:
    """Return the number of samples, that all arrays share."""
    sizes: list[int] = []
    map_arrays(lambda array: sizes.append(len(array)), inputs)
    return sizes[0]
