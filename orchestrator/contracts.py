"""What a task and a model must offer, in the standard library's types and numpy's alone.

A target (``target:`` in a task's or model's YAML) is a class. Constructing it with the YAML's own keys is cheap and touches no
framework, so that the driver can ask for samples, weights and mistakes before any machine is busy; ``Model.load`` is the first
call that may import a framework, and it runs in the timed process only.
"""

from array import array
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Code = Literal[
    "unknown",  # a name, key or option that does not exist
    "missing",  # a required value is not given
    "invalid",  # a value breaks a rule of its type, form or range
    "conflict",  # two settings exclude or need each other
    "not_found",  # no such file, folder, host or module
    "exists",  # the place for the output holds something
    "unreadable",  # the system refuses to open, read or write
    "damaged",  # a file is not what its writer wrote
    "unsafe",  # others could replace it, or it could run code
    "unsupported",  # this model, runtime, machine or format cannot do that
    "not_installed",  # a package or program is not installed
    "incomparable",  # results that do not belong together
    "in_use",  # another process has it
    "too_large",  # above a limit of size
    "no_data",  # nothing is measured that could answer
]


class InputError(ValueError):
    """A user's mistake, in one line: the value, the rule it breaks and the remedy. Ends the program with exit code 2.

    Its code, and the key and the value where there are some, are what programs and tests go by; the sentence may change.
    """

    def __init__(self, message: str, code: Code = "invalid", key: str = "", value: object = None) -> None:
        super().__init__(message)
        self.code, self.key, self.value = code, key, value


CUT = "[...]"  # stands where a text was cut; beside it, the part of a secret is hidden too


def shortened(text: str, most: int = 300) -> str:
    """Return a text of at most so many characters, which says where it was cut. A mark of an earlier cut is never cut itself."""
    return text if len(text) <= most else text[: most - len(CUT)].rstrip("[.") + CUT


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, shortened; the name of its type where it says nothing.

    Examples
    --------
    >>> first_line(ValueError("no such axis"))
    'no such axis'
    >>> first_line(TimeoutError())
    'TimeoutError'
    """
    return shortened(next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__))


def by_key(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return the items of each key, in their order.

    Examples
    --------
    >>> by_key(["ab", "c", "de"], len)
    {2: ['ab', 'de'], 1: ['c']}
    """
    found: dict[Key, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


# Names that advice lists at most
NAMED = 12


def nearest(word: str, names: Iterable[str]) -> str:
    """Return advice on a word that is none of the names: the nearest one, or all of them where none is near.

    Examples
    --------
    >>> nearest("alhpa", ["alpha", "beta"])
    'did you mean alpha?'
    >>> nearest("x", ["alpha", "beta"])
    'there is alpha, beta'
    """
    known = sorted(set(names))
    near = get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return f"there is {', '.join(known[:NAMED])}{more}" if known else "there are none"


@dataclass(frozen=True)
class Sample:
    """One input of a task.

    name
        stable and unique within the task, the same on every host (a relative file name, never an absolute path).
    reference
        the right answer as plain values; its form belongs to the task's kind (see docs/tasks.md).
    stratum
        the label a stratified subset is drawn by.
    slices
        named groups this sample belongs to, for quality by group: ``{"class": "tabby"}``. None by default; `doubling_range` makes groups
        of numbers. Samples of one ``conversation`` are its turns and stand next to each other: a server is asked for one after the other.
    path, payload
        where the encoded bytes are: a file, or the bytes themselves. Exactly one is set.
    """

    name: str
    reference: Any
    stratum: str
    slices: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    payload: bytes | None = None

    def read(self) -> bytes:
        """Return the encoded bytes."""
        if self.payload is not None:
            return self.payload
        assert self.path is not None
        return self.path.read_bytes()

    def encoded_size(self) -> int:
        """Return the number of encoded bytes without reading a file."""
        if self.payload is not None:
            return len(self.payload)
        assert self.path is not None
        return self.path.stat().st_size


def doubling_range(number: float) -> str:
    """Return the group of a number that is not negative, for a slice: ``0``, ``1``, ``2``, ``3-4``, ``5-8``, ``9-16`` and so on.

    Each group reaches to twice the one before; a number with a fraction counts as the next whole one.

    Examples
    --------
    >>> [doubling_range(words) for words in (1, 3, 8, 8.5, 300)]
    ['1', '3-4', '5-8', '9-16', '257-512']
    """
    whole = ceil(number)
    if whole <= 2:
        return str(max(whole, 0))
    high = 1 << (whole - 1).bit_length()
    return f"{high // 2 + 1}-{high}"


# Stands in a request's body where the timed process puts digits that are new in every round.
SALT = "<digits of this round>"


@dataclass(frozen=True)
class Request:
    """What a server is asked, as an HTTP POST; ``path`` follows the server's URL.

    ``streamed`` says that the answer comes in lines, of which each has its time; else it is read as a whole.
    """

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = False


@dataclass
class Reply:
    """What a server answered, with the moments of it in ns by the clock of the timed loop.

    body, lines
        the whole answer, or its lines where the request was ``streamed``: each without its end, with the moment at which it was there.
    sent_ns, headers_ns, ended_ns
        when sending began, before a connection was opened where one had to be; when the head of the answer had been read; and its end.
    first_token_ns, last_token_ns, tokens
        for a runtime that reads streams to set, by `came`: when the first and the last piece of content were there, and their number.
    gaps_ns
        set by `came` too: from each piece of content to the next.
    truncated
        for a runtime to set: whether the answer ended at its limit of tokens; None where the server does not say.
    prompt_tokens, cached_tokens
        for a runtime to set: tokens of the prompt, and how many of these the server had in a cache; None where it does not say.
    connection
        number of the connection that it came on.
    """

    headers: Mapping[str, str]
    body: bytes
    lines: Sequence[tuple[int, bytes]]
    sent_ns: int
    headers_ns: int
    ended_ns: int
    first_token_ns: int = 0
    last_token_ns: int = 0
    tokens: int = 0
    gaps_ns: Sequence[int] = ()
    truncated: bool | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    connection: int = 0

    def came(self, moments: Sequence[int], tokens: int | None = None) -> None:
        """Note when the pieces of content came, and how many tokens they held, where the server says so."""
        if moments:
            self.first_token_ns, self.last_token_ns = moments[0], moments[-1]
            self.gaps_ns = array("q", (after - before for before, after in pairwise(moments)))
        self.tokens = len(moments) if tokens is None else tokens


class ServerFault(RuntimeError):
    """A server gave no answer, or not the one that was asked for; one line says why. The outcome of the request is ``error``."""


class ServerTimeout(ServerFault):
    """A server gave no whole answer in time. The outcome of the request is ``timeout``."""


class Server(Protocol):
    """A server that answers requests, one at a time to each thread that asks."""

    def ask(self, request: Request) -> Reply:
        """Send a request once and return the answer. Raises ServerFault; a status other than 2xx is one."""


@dataclass(frozen=True)
class LoadContext:
    """How a model is to be loaded: the trial's runtime settings and the place it was given.

    ``device`` is ``cpu`` or ``cuda:0`` (the timed process sees the trial's GPUs only); ``threads`` is the number of threads that may
    compute; ``batch`` the number of samples per inference; ``cache_dir`` a folder for derived files such as exported graphs.
    ``gpus`` is more than 1 only for a model whose YAML has ``several_gpus: true``, which then computes on ``cuda:0`` and those after it.
    ``server`` answers requests, for a runtime whose YAML has ``asks_server: true``; else it is None.
    """

    runtime: str
    dtype: str
    deterministic: bool
    autotune: bool
    device: str
    threads: int
    batch: int
    cache_dir: Path
    gpus: int = 1
    server: Server | None = None


@runtime_checkable
class LoadedModel(Protocol):
    """Weights in memory, ready to answer. The three stages are what the clocks measure."""

    # What the timed process reads back after loading, as plain JSON values: text, finite numbers, true, false, null, lists, and
    # dictionaries with text keys, nested at most 30 deep; else loading fails. `facts["threads"]` maps each pool that computes to its
    # number of threads and is checked against the trial; `facts["largest_difference"]` and `facts["tolerance"]` compare the answers with
    # eager execution, where the runtime is another; `facts["cuda_events"]` says that the model computes on PyTorch's current CUDA stream,
    # where events time it
    facts: Mapping[str, Any]

    def input_size(self, sample: Any) -> int:
        """Return the size of one decoded sample: pixels of a picture, tokens of a text."""

    def preprocess(self, samples: Sequence[Any]) -> Any:
        """Turn decoded samples into tensors on the device."""

    def infer(self, inputs: Any) -> Any:
        """Call the model."""

    def postprocess(self, outputs: Any) -> list[Any]:
        """Turn the outputs into a list of one answer per sample, as plain host values of the task's kind, which nothing changes later."""


@runtime_checkable
class Model(Protocol):
    """A model as its YAML describes it, not loaded yet."""

    def check(self) -> None:
        """Raise InputError for what is wrong with the options or files. Imports no framework."""

    def files(self) -> Sequence[Path]:
        """Return the files that hold the weights; their content goes into the trial's identity."""

    # A model may also have ``fetches() -> str | None``: what it downloads on first use, which the plan shows.

    def load(self, context: LoadContext) -> LoadedModel:
        """Load the weights. Runs in the timed process, after it has been pinned."""


@runtime_checkable
class Task(Protocol):
    """A labelled data set with its quality metrics."""

    # Names of the metrics that apply (files of orchestrator/metrics), the primary one first
    metrics: Sequence[str]

    def check(self) -> None:
        """Raise InputError for what is wrong with the options or the data. Imports no framework."""

    def samples(self) -> Sequence[Sample]:
        """Return all samples in a fixed order. Raises InputError for a bad row or a missing file."""

    # A task of text answers may also have ``answer(text: str) -> Any``: what an answer in words says, by which `import` grades it.

    def decode(self, encoded: bytes) -> Any:
        """Turn encoded bytes into what models of this kind preprocess: an RGB ``PIL.Image.Image``, a ``str``."""
