"""Functions, inputs and labels that a call was given, as a model and a task that trials name like any other."""

import gc
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel, Sample
from orchestrator.measurement.timing import only

MEMORY = "TAIL_QUALITY_MEMORY"  # names the memory from which a process of its own takes what is measured
PLAIN = (int, float, str, bool, type(None))


@dataclass(frozen=True)
class Held:
    """What is measured, a task: functions by name, and inputs in the order of their samples.

    With a ``batch``, plain functions take a batch too; modules of PyTorch, sessions of ONNX Runtime and estimators always do.
    ``preprocess`` takes one input, ``postprocess`` what came out for one.
    """

    functions: Mapping[str, Callable[..., Any]]
    inputs: Any
    labelled: Sequence[Sample]
    metrics: Sequence[str]
    preprocess: Callable[[Any], Any] | None
    postprocess: Callable[[Any], Any] | None
    batch: int | None

    def check(self) -> None:
        """Do nothing: it was checked when it was given."""

    def samples(self) -> Sequence[Sample]:
        return self.labelled

    def decode(self, encoded: bytes) -> Any:
        """Return the input that a sample names: it stays in memory as it is, so that none is decoded while times are taken."""
        return self.inputs[int(encoded.split()[0])]


_here: ContextVar[Held | None] = ContextVar("held", default=None)


@contextmanager
def holding(given: Held, opening: AbstractContextManager[Any], shared: bool) -> Iterator[Any]:
    """Open a site whose trials find what is measured: in this thread and, where it is ``shared``, in the processes that the site starts.

    These read it from memory that this process lends them: no pickle lies on a disk.
    """
    with ExitStack() as ended:
        ended.callback(_here.reset, _here.set(given))
        for module in (part for function in given.functions.values() for part in parts_of(function)):
            ended.callback(setattr, module, "training", module.training)
        ended.callback(gc.unfreeze)  # what a trial in this process has taken out of the collection of garbage is the caller's
        if shared:
            memory = ended.enter_context(os.fdopen(os.memfd_create(MEMORY), "wb"))
            os.environ[MEMORY] = f"/proc/{os.getpid()}/fd/{memory.fileno()}"  # processes of the site inherit this
            ended.callback(os.environ.pop, MEMORY)
        site = ended.enter_context(opening)
        if shared:
            from ray.cloudpickle import dumps  # not before: Ray reads its environment, which the site sets, when it is imported

            memory.write(dumps(([str(Path(folder).resolve()) for folder in sys.path], dumps(given))))  # type: ignore[no-untyped-call]
            memory.flush()
        yield site


def held() -> Held:
    """Return what is measured. Raises InputError where nothing is held."""
    found = _here.get() or _lent(os.environ.get(MEMORY))
    if found is None:
        raise InputError(
            "this trial was measured by a call from Python, which alone has its function and data: make that call again", "not_found"
        )
    return found


@cache
def _lent(place: str | None) -> Held | None:
    """Return what the process that has started this one holds in memory."""
    if place is None:
        return None
    folders, content = pickle.loads(Path(place).read_bytes())  # noqa: S301
    sys.path.extend(folder for folder in folders if folder not in sys.path)  # where the functions' modules are
    given: Held = pickle.loads(content)  # noqa: S301
    return given


def rows_and_samples(inputs: Any, labels: Any) -> tuple[Any, list[Sample]]:
    """Return inputs as rows, and a sample for each; of a data frame, a row is a frame. Raises InputError where labels are too few or many.

    The digest of an input that cannot be pickled is that of no other one, so that later data never pass for the same.
    """
    is_frame = hasattr(inputs, "iloc") and inputs.ndim == 2
    rows = [inputs.iloc[row : row + 1] for row in range(len(inputs))] if is_frame else list(inputs)
    references = [answer_of(label, ranked=False) for label in labels]
    if len(rows) != len(references):
        raise InputError(f"{len(rows)} inputs and {len(references)} labels: give one label for each input", key="labels")
    samples = []
    for number, reference in enumerate(references):
        digest = uuid4().hex
        with suppress(pickle.PicklingError, TypeError, AttributeError):
            digest = sha256(pickle.dumps(on_host(rows[number]), protocol=5)).hexdigest()
        samples.append(Sample(str(number), reference, str(reference), payload=f"{number} {digest}".encode()))
    return rows, samples


@dataclass
class Function:
    """A function in three stages: a model that is loaded already. Stages are attributes, as calling a method would take time of its own."""

    preprocess: Callable[[Sequence[Any]], Any]
    infer: Callable[[Any], Any]
    postprocess: Callable[[Any], list[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Do nothing: it is there."""

    def files(self) -> Sequence[Path]:
        return ()

    def load(self, context: LoadContext) -> LoadedModel:
        return self

    def input_size(self, sample: Any) -> int:
        return int(np.prod(getattr(sample, "shape", ())))


def function(function: str) -> Function:
    """Return a function by its name among those that are measured, as what it is recognised to be."""
    given = held()
    convert, infer = recognised(given.functions[function])
    takes_batches, ranked = given.batch is not None or convert is not None, given.metrics[0] in ("top1", "top5")
    first, last = given.preprocess, given.postprocess
    is_direct = not (takes_batches or ranked or first or last)  # whether nothing stands between the input, the call and a plain answer

    def before(items: Sequence[Any]) -> Any:
        ready = items if first is None else list(map(first, items))
        batch = joined(ready) if takes_batches else ready[0]
        return batch if convert is None else convert(batch)

    def after(output: Any) -> list[Any]:
        each = on_host(getattr(output, "logits", output)) if takes_batches else [output]  # models of transformers have logits
        return [answer_of(one if last is None else last(one), ranked) for one in each]

    def alone(item: Any) -> list[Any]:
        output = infer(item)
        return [output if type(output) in PLAIN else answer_of(output, ranked=False)]

    return Function(only, alone, list) if is_direct else Function(before, infer, after)


def parts_of(function: Any) -> list[Any]:
    """Return a module of PyTorch and all modules in it; nothing for another function."""
    torch = sys.modules.get("torch")
    return list(function.modules()) if torch is not None and isinstance(function, torch.nn.Module) else []


def recognised(function: Any) -> tuple[Callable[[Any], Any] | None, Callable[[Any], Any]]:
    """Return what makes a batch the function's input, None for a plain function, and the call itself."""
    owner = getattr(function, "__self__", function)
    if parts_of(function):
        torch = sys.modules["torch"]
        device = next((parameter.device for parameter in function.parameters()), "cpu")
        return lambda batch: torch.as_tensor(batch).to(device), torch.inference_mode()(function.eval().__call__)
    if hasattr(function, "get_inputs") and hasattr(function, "run"):
        name = function.get_inputs()[0].name
        return np.asarray, lambda batch: function.run(None, {name: batch})[0]
    if hasattr(owner, "get_params") and hasattr(owner, "predict"):
        return lambda batch: batch, function.predict if owner is function else function
    return None, function


def joined(items: Sequence[Any]) -> Any:
    """Return inputs as one batch: arrays and tensors with an axis in front, rows of data frames as one, else a list."""
    if not hasattr(items[0], "shape"):
        return list(items)
    if hasattr(items[0], "iloc"):
        return items[0] if len(items) == 1 else sys.modules["pandas"].concat(items)
    stack = sys.modules["torch"].stack if hasattr(items[0], "detach") else np.stack
    return items[0][None] if len(items) == 1 else stack(items)


def on_host(value: Any) -> Any:
    """Return a tensor as an array of NumPy, and anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def answer_of(output: Any, ranked: bool) -> Any:
    """Return an answer as plain values; of the scores of classes the likeliest class, or ``ranked`` classes, the likeliest first.

    Examples
    --------
    >>> answer_of(np.float32([0.1, 0.7, 0.2]), ranked=False), answer_of(np.int64(3), ranked=False), answer_of(2, ranked=True)
    (1, 3, [2])
    """
    found = on_host(output)
    found = found.squeeze() if hasattr(found, "squeeze") else found
    if getattr(found, "ndim", 0) == 1 and found.dtype.kind == "f":
        found = np.argsort(-found, kind="stable")[:5] if ranked else found.argmax()
    answer = found.tolist() if hasattr(found, "tolist") else found
    return [answer] if ranked and not isinstance(answer, list) else answer
