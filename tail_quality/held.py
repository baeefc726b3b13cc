"""Functions, inputs and labels that a call was given, as a model and a task that trials name like any other."""

import gc
import math
import pickle
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel, Sample

MOST_RANKED = 5
PLAIN = (int, float, str, bool, type(None))


@dataclass(frozen=True)
class Held:
    """What is measured: functions by name, inputs and labels in order.

    ``batched`` says that plain functions take a batch, too; modules of PyTorch, sessions of ONNX Runtime and estimators always do.
    ``preprocess`` takes one input, ``postprocess`` what came out for one.
    """

    functions: Mapping[str, Callable[..., Any]]
    inputs: Any
    labels: Sequence[Any]
    metric: str
    preprocess: Callable[[Any], Any] | None = None
    postprocess: Callable[[Any], Any] | None = None
    batched: bool = False


_held: list[Held] = []
_one_at_a_time = threading.RLock()


@contextmanager
def holding(held: Held) -> Iterator[None]:
    """Let trials of this process find what is measured; another thread that measures waits."""
    with _one_at_a_time:
        _held.append(held)
        try:
            yield
        finally:
            _held.pop()
            gc.unfreeze()  # what a trial in this process has taken out of the collection of garbage is the caller's


def held_by(store: str | None) -> Held:
    """Return what is measured, from the file of a process of its own or from this process. Raises InputError where nothing is held."""
    if store is not None:
        return _read(store)
    if not _held:
        raise InputError(
            "this trial was measured by a call from Python, which alone has its function and data: make that call again", "not_found"
        )
    return _held[-1]


@cache
def _read(store: str) -> Held:
    content = Path(store).read_bytes()
    if sha256(content).hexdigest() != Path(store).name:
        raise InputError(f"{store}: is not what its driver has written: measure again", "damaged")
    found: Held = pickle.loads(content)  # noqa: S301 - its digest is in the trial that the driver gave to this process
    return found


def rows_of(inputs: Any) -> Any:
    """Return inputs as something with a length and an item for each: of a data frame, frames of one row."""
    if hasattr(inputs, "iloc"):
        return [inputs.iloc[row : row + 1] for row in range(len(inputs))]
    return inputs if hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__") else list(inputs)


def digest_of(given: Any) -> str:
    """Return the SHA-256 of an input; of what cannot be pickled, that of its type's name."""
    of_tensor = given.detach().cpu().numpy() if hasattr(given, "detach") else given
    try:
        return sha256(pickle.dumps(of_tensor, protocol=5)).hexdigest()
    except (pickle.PicklingError, TypeError, AttributeError):
        return sha256(type(given).__qualname__.encode()).hexdigest()


@dataclass
class HeldTask:
    """Inputs with their labels. The inputs stay in memory as they are, so that none is decoded while times are taken."""

    metric: str
    store: str | None = None
    _rows: Any = field(default=None, init=False, repr=False)

    @property
    def metrics(self) -> Sequence[str]:
        return (self.metric,)

    def check(self) -> None:
        held = held_by(self.store)
        self._rows = rows_of(held.inputs)
        if len(self._rows) != len(held.labels):
            raise InputError(f"{len(self._rows)} inputs and {len(held.labels)} labels: give one label for each input", key="labels")

    def samples(self) -> Sequence[Sample]:
        labels = held_by(self.store).labels
        found = labels.tolist() if hasattr(labels, "tolist") else map(plain, labels)
        return [
            Sample(str(number), label, str(label), payload=f"{number} {digest_of(self._rows[number])}".encode())
            for number, label in enumerate(found)
        ]

    def decode(self, encoded: bytes) -> Any:
        return self._rows[int(encoded.split()[0])]


@dataclass
class HeldModel:
    """One of the functions that a call was given."""

    function: str
    store: str | None = None

    def check(self) -> None:
        held_by(self.store)

    def files(self) -> Sequence[Path]:
        return ()

    def load(self, context: LoadContext) -> LoadedModel:
        held = held_by(self.store)
        return loaded(held.functions[self.function], held)


@dataclass
class Loaded:
    """The three stages of a function; attributes, as calling a method would take time of its own."""

    preprocess: Callable[[Sequence[Any]], Any]
    infer: Callable[[Any], Any]
    postprocess: Callable[[Any], list[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def input_size(self, sample: Any) -> int:
        return math.prod(getattr(sample, "shape", ()))


def loaded(function: Callable[..., Any], held: Held) -> Loaded:
    """Return the stages of a function, as what it is recognised to be."""
    convert, infer = recognised(function)
    first, last, ranked = held.preprocess, held.postprocess, held.metric in ("top1", "top5")

    def answer(output: Any) -> Any:
        return answer_of(output if last is None else last(output), ranked)

    if convert is None and not held.batched:
        only = (lambda items: items[0]) if first is None else (lambda items: first(items[0]))
        return Loaded(only, infer, lambda output: [output if type(output) in PLAIN and last is None and not ranked else answer(output)])

    def join(items: Sequence[Any]) -> Any:
        batch = joined(items if first is None else [first(item) for item in items])
        return batch if convert is None else convert(batch)

    return Loaded(join, infer, lambda outputs: [answer(output) for output in rows_of_output(outputs)])


def recognised(function: Any) -> tuple[Callable[[Any], Any] | None, Callable[[Any], Any]]:
    """Return what a batch goes through first, None for a plain function, and the call itself."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(function, torch.nn.Module):
        function.eval()
        parameter = next(function.parameters(), None)
        device = "cpu" if parameter is None else parameter.device

        def infer(batch: Any) -> Any:
            with torch.inference_mode():
                return function(batch)

        return lambda batch: torch.as_tensor(batch).to(device), infer
    if hasattr(function, "get_inputs") and hasattr(function, "run"):
        name = function.get_inputs()[0].name
        return np.asarray, lambda batch: function.run(None, {name: batch})[0]
    owner = getattr(function, "__self__", function)
    if hasattr(owner, "get_params") and hasattr(owner, "predict"):
        return lambda batch: batch, function.predict if owner is function else function
    return None, function


def joined(items: Sequence[Any]) -> Any:
    """Return inputs as one batch: arrays and tensors with an axis in front, rows of data frames as one, else a list."""
    if hasattr(items[0], "iloc"):
        return items[0] if len(items) == 1 else sys.modules["pandas"].concat(list(items))
    if not hasattr(items[0], "shape"):
        return list(items)
    each = [item[None] for item in items]
    return each[0] if len(each) == 1 else sys.modules["torch"].cat(each) if hasattr(items[0], "detach") else np.concatenate(each)


def rows_of_output(outputs: Any) -> Any:
    """Return what came out for each input of a batch; of a model of transformers, its logits."""
    found = getattr(outputs, "logits", outputs)
    return found.detach().cpu().numpy() if hasattr(found, "detach") else found


def answer_of(output: Any, ranked: bool) -> Any:
    """Return an answer as plain values; of the scores of classes the likeliest class, or ``ranked`` classes, the likeliest first.

    Examples
    --------
    >>> answer_of(np.float32([0.1, 0.7, 0.2]), ranked=False), answer_of(np.int64(3), ranked=False), answer_of(2, ranked=True)
    (1, 3, [2])
    """
    found = output.detach().cpu().numpy() if hasattr(output, "detach") else output
    found = found.squeeze() if getattr(found, "ndim", 0) else found
    if getattr(found, "ndim", 0) == 1 and found.dtype.kind == "f":
        best: list[int] = np.argsort(-found, kind="stable")[:MOST_RANKED].tolist()
        return best if ranked else best[0]
    return [plain(found)] if ranked and not isinstance(found, list) else plain(found)


def plain(value: Any) -> Any:
    """Return an array, a tensor or a number of a library as values of Python."""
    return value.tolist() if hasattr(value, "tolist") else value
