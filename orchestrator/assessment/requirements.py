"""What a system must keep: a file of requirements, one entry each, validated before any result is read."""

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

import yaml
from pydantic import Field, ValidationError, model_validator

from orchestrator.assessment.kinds import Block, Kind, all_kinds
from orchestrator.assessment.values import AnyPatterns, Confidence, Count, Identifier, Patterns, Positive, Text
from orchestrator.configuration.fields import refused
from orchestrator.contracts import InputError
from orchestrator.report.text import printable
from orchestrator.storage.load import read_regular

MOST_BYTES = 2**20
MOST_REQUIREMENTS = 1000
# How deep a file may be nested; requirements take four levels.
DEEPEST = 30
FORM = "write it in the form of docs/requirements.md"
# Keys and numbers of entries, from the top of the file.
Place: TypeAlias = tuple[str | int, ...]

KINDS = all_kinds()
if TYPE_CHECKING:
    AnyKind: TypeAlias = Kind
else:
    AnyKind = Annotated[reduce(or_, KINDS.values()), Field(discriminator="kind")]


class Evidence(Block):
    """The least that a requirement must rest on. ``accept_flags`` are patterns of flags that do not stand in the way of *met*."""

    rounds: Positive = 1
    visits: Count = 0
    processes: Positive = 1
    sessions: Positive = 1
    accept_flags: AnyPatterns = ()


class Requirement(Block):
    """One requirement; in a file, the keys of what is asked stand under its kind.

    id, text, source
        what it is called, what it says, and where it comes from.
    trials
        which trials it is for, patterns by axis: ``model``, ``task``, ``system``, ``runtime``, ``batch``, ``load``, ``repeat`` or any key
        of a trial, such as ``measurement.batch``; all where it names none.
    confidence
        of this verdict alone; the one of the whole file may ask for more.
    """

    id: Identifier
    text: Text
    source: Text = "not given"
    trials: Mapping[str, Patterns] = {}
    confidence: Confidence = 0.95
    evidence: Evidence = Evidence()
    asked: AnyKind

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, entry: Any) -> Any:
        """Return an entry of a file with the keys of its kind as ``asked``. A mistyped key is left for what is said of such keys."""
        if not isinstance(entry, dict):
            return entry
        given = {kind: entry[kind] for kind in KINDS if entry.get(kind) is not None}
        rest = {key: value for key, value in entry.items() if key not in KINDS}
        if len(given) != 1:
            if rest.keys() - cls.model_fields:
                return rest
            found = f"has {' and '.join(given)}" if given else "asks for nothing"
            raise ValueError(f"{found}: must have exactly one of {', '.join(KINDS)}")
        [(kind, keys)] = given.items()
        if not isinstance(keys, dict):
            raise ValueError(f"{kind}: must be a mapping with its keys")
        return {**rest, "asked": {**keys, "kind": kind}}


class Requirements(Block):
    """All requirements of a file. With ``confidence``, no *met* of them is false, of all together."""

    confidence: Confidence = 0.95
    requirements: Annotated[tuple[Requirement, ...], Field(min_length=1, max_length=MOST_REQUIREMENTS)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [requirement.id for requirement in self.requirements]
        if again := [name for number, name in enumerate(ids) if name in ids[:number]]:
            raise ValueError(f"{again[0]} is the id of several; every requirement needs one of its own")
        return self

    def error_of(self, requirement: Requirement) -> float:
        """Return the probability that a requirement may falsely be called met or not met, both together.

        An equal part of what the file allows (Bonferroni), or what the requirement itself does where that is less.

        Examples
        --------
        >>> asked = {"text": "x", "latency": {"percentile": 99, "within": "50 ms"}}
        >>> both = Requirements.model_validate({"requirements": [{"id": "A", **asked}, {"id": "B", **asked, "confidence": 0.99}]})
        >>> [round(both.error_of(one), 4) for one in both.requirements]
        [0.025, 0.01]
        """
        return min(1 - self.confidence, (1 - self.confidence) / len(self.requirements), 1 - requirement.confidence)


def read_requirements(path: Path) -> Requirements:
    """Return the requirements of a file.

    Raises
    ------
    InputError
        for a file that cannot be read, is no YAML mapping, or breaks a rule, naming the first key that does.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}): name a file of requirements, and {FORM}", "unreadable", value=path
        ) from error
    return requirements_of(content, str(path))


def requirements_of(content: bytes, name: str) -> Requirements:
    """Return the requirements that a file's bytes hold; ``name`` is that of the file, for messages. Raises InputError."""
    if len(content) > MOST_BYTES:
        raise InputError(f"{name}: has more than {MOST_BYTES:,} bytes: divide it into several files", "too_large")
    try:
        document, lines = _parsed(content)
        return Requirements.model_validate(document)
    except ValidationError as error:
        raise _refusal(name, error, document, lines) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{name}: {printable(' '.join(str(error).split())[:200])}: {FORM}", "damaged") from error


def _parsed(content: bytes) -> tuple[dict[str, Any], Mapping[Place, int]]:
    """Return the mapping that a file holds, and the line of each place in it.

    A file may come from a stranger, in a bundle: what refers to another place, or is nested deeply, may stand for more than memory holds.
    Raises ValueError, and YAMLError.
    """
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {_line_of(event)}: refers to another place with *, or is nested deeper than {DEEPEST} levels")
    document = yaml.safe_load(content)
    if not isinstance(document, dict):
        raise ValueError("holds no mapping with the key requirements")
    lines: dict[Place, int] = {}
    for place, line in _places(yaml.compose(content, Loader=yaml.SafeLoader)):
        if place in lines:
            raise ValueError(f"line {line}: {place[-1]} is given twice, first in line {lines[place]}")
        lines[place] = line
    return document, lines


def _line_of(part: yaml.Node | yaml.Event) -> int:
    assert part.start_mark is not None
    return int(part.start_mark.line) + 1


def _places(node: yaml.Node | None, place: Place = ()) -> Iterator[tuple[Place, int]]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    items = enumerate(node.value) if isinstance(node, yaml.SequenceNode) else ()
    for part, of, inner in (*((key.value, key, value) for key, value in pairs), *((number, value, value) for number, value in items)):
        yield (*place, part), _line_of(of)
        yield from _places(inner, (*place, part))


def _refusal(name: str, error: ValidationError, document: Mapping[str, Any], lines: Mapping[Place, int]) -> InputError:
    """Return what is said of the first mistake of a document, with its line and requirement."""
    # Where every entry of a list is refused, Pydantic adds that none is left; and a key that is mistyped is missing, too.
    found = [one for one in error.errors(include_url=False) if one["type"] != "too_short" or not one["input"]]
    first = min(found, key=lambda one: (one["loc"][1:2], one["type"] != "extra_forbidden"))
    # Without what Pydantic adds for keys of a mapping and we for what is asked.
    place = tuple(part for part in first["loc"] if part not in ("[key]", "asked"))
    where, keys, known = [name], place, set[str]()
    if place:
        where += [f"line {next((lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in lines), 1)}"]
    if len(place) > 1 and isinstance(place[1], int):
        entry, keys = document["requirements"][place[1]], place[2:]
        where.append(f"requirement {entry.get('id', place[1] + 1) if isinstance(entry, dict) else place[1] + 1}")
    if first["type"] == "extra_forbidden":
        inner: Mapping[str, type[Block]] = {"evidence": Evidence, **KINDS}
        block = Requirements if len(place) == 1 else Requirement if len(place) == 3 else inner[str(place[2])]
        known = {*block.model_fields, *(KINDS if block is Requirement else ())} - {"asked", "kind"}
    said = refused(first, ".".join(map(str, keys)), known)
    return InputError(printable(" ".join(": ".join([*where, str(said)]).split())), said.code, said.key, said.value)
