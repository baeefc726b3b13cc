"""What is wrong with a file of requirements, in one line: where, the value, the rule that it breaks, and the remedy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ValidationError

from orchestrator.report.text import printable

FORM = "write it in the form of docs/requirements.md"
LONGEST_VALUE = 80
NAMED = 5
"""Mistakes beside the first one that are named by their lines."""
Place: TypeAlias = tuple[str | int, ...]
"""Keys and numbers of entries, from the top of the file."""
DEEPEST = 30
"""How deep a file may be nested; requirements take four levels."""


class NotThisForm(ValueError):
    """A file is no mapping of YAML that says one thing once; the message says where and why."""


def parse(content: bytes) -> tuple[dict[Any, Any], yaml.Node]:
    """Return the mapping that a file holds, and its nodes, which know their lines.

    Raises
    ------
    NotThisForm
        for what is no YAML mapping, for one that refers to another place of itself, and for a key that is given twice.
    """
    try:
        depth = 0
        for event in yaml.parse(content, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise NotThisForm(f"line {_line(event)}: is nested deeper than {DEEPEST} levels: {FORM}")
            if isinstance(event, yaml.AliasEvent):
                raise NotThisForm(
                    f"line {_line(event)}: *{shown_value(event.anchor)} refers to another place, which may stand for more than memory "
                    "holds: write it out"
                )
        node = yaml.compose(content, Loader=yaml.SafeLoader)
        for key, before in _twice(node):
            shown = shown_value(key.value)
            raise NotThisForm(f"line {_line(key)}: {shown} is given twice, first in line {_line(before)}: leave one of them")
        document = yaml.safe_load(content)
    except NotThisForm:
        raise
    except yaml.MarkedYAMLError as error:
        raise NotThisForm(_no_yaml(error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotThisForm(f"is no YAML ({' '.join(str(error).split())[:200]}): {FORM}") from error
    if not isinstance(document, dict) or node is None:
        raise NotThisForm(f"holds no mapping with the key requirements: {FORM}")
    return document, node


def _no_yaml(error: yaml.MarkedYAMLError) -> str:
    where = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
    problem = error.problem or error.context or "cannot be read"
    remedy = FORM
    if "mapping values" in problem:
        remedy = "write a text that has a colon in quotes"
    elif "\\t" in problem:
        remedy = "indent with spaces"
    elif "single document" in (error.context or ""):
        problem, remedy = "holds several documents", "leave out what follows ---, or put it into a file of its own"
    return f"{where}is no YAML ({printable(problem)}): {remedy}"


def _twice(node: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.ScalarNode]]:
    """Yield every key that its mapping has already, and the one before it."""
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _twice(each)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, yaml.ScalarNode] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key, seen[key.value]
                seen[key.value] = key
            yield from _twice(value)


@dataclass(frozen=True)
class Mistake:
    """One complaint of a validation, of the kind and with the limits that Pydantic knows, and the block that its place lies in."""

    kind: str
    place: Place
    value: Any
    limits: dict[str, Any]
    message: str
    block: type[BaseModel]

    @property
    def key(self) -> str:
        """The last key of its place."""
        return next((part for part in reversed(self.place) if isinstance(part, str)), "")

    @property
    def meant(self) -> str | None:
        """Of a key that its block does not have, the one most like it, or None."""
        return next(iter(get_close_matches(self.key.lower().replace("-", "_"), [*self.block.model_fields], n=1)), None)


def told(error: ValidationError, document: dict[Any, Any], node: yaml.Node, top: type[BaseModel]) -> str:
    """Return in one line the first mistake of a document that ``top`` refused: line, requirement, key, value, rule and remedy."""
    found = sorted(_mistakes(error, top), key=lambda one: (_entry(one.place), one.kind != "extra_forbidden"))
    first, rest = found[0], found[1:]
    if first.kind == "extra_forbidden":  # a mistyped key is missing, too
        rest = [one for one in rest if (one.kind, one.place) != ("missing", (*first.place[:-1], first.meant))]
    line = f"line {_line(_node_at(node, first.place))}: " if first.place else ""
    name, place = _named(document, first.place)
    others = [f"line {_line(_node_at(node, one.place))} ({'.'.join(map(str, _named(document, one.place)[1])) or one.key})" for one in rest]
    more = f" (and {len(rest)} more: {', '.join(others[:NAMED])}{', ...' if len(rest) > NAMED else ''})" if rest else ""
    return f"{line}{name}{_said(first, '.'.join(map(str, place)))}{more}"


def _mistakes(error: ValidationError, top: type[BaseModel]) -> list[Mistake]:
    found = [
        Mistake(one["type"], _of_the_file(place), one["input"], one.get("ctx", {}), one["msg"], _block_of(place, top))
        for one in error.errors(include_url=False)
        for place in [one.get("ctx", {}).get("place", one["loc"])]
    ]
    # Where every entry of a list is refused, Pydantic adds that none is left.
    return [one for one in found if one.kind != "too_short" or not one.value] or found


def _of_the_file(place: Place) -> Place:
    """Return a place without what Pydantic adds to it for a key of a mapping."""
    return tuple(part for part in place if part != "[key]")


def _block_of(place: Place, top: type[BaseModel]) -> type[BaseModel]:
    """Return the block in which a place lies."""
    block = top
    for part in place[:-1]:
        field = block.model_fields.get(part) if isinstance(part, str) else None
        block = next(_blocks_in(field.annotation), block) if field is not None else block
    return block


def _blocks_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _blocks_in(inner)


def _entry(place: Place) -> int:
    """Return the number of the entry that a place lies in; -1 above all entries."""
    return place[1] if len(place) > 1 and isinstance(place[1], int) else -1


def _named(document: dict[Any, Any], place: Place) -> tuple[str, Place]:
    """Return the requirement that a place lies in, by its id if it has one, and the place within it."""
    entries, number = document.get("requirements"), _entry(place)
    if number < 0 or not isinstance(entries, list) or not isinstance(entries[number], dict):
        return "", place
    name = entries[number].get("id")
    return (f"requirement {number + 1}: ", place[2:]) if name is None else (f"requirement {shown_value(name)}: ", place[2:])


def _node_at(node: yaml.Node, place: Sequence[str | int]) -> yaml.Node:
    """Return the node of a place, of a key the key itself; the last one on the way where the place is not in the file."""
    if not place:
        return node
    part, rest = place[0], place[1:]
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return _node_at(node.value[part], rest)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return _node_at(value, rest) if rest and isinstance(value, yaml.CollectionNode) else key
    return node


def _line(node: yaml.Node | yaml.Event) -> int:
    return 1 if node.start_mark is None else int(node.start_mark.line) + 1


def shown_value(value: Any) -> str:
    """Return a value as a reader of one line sees it."""
    plain = {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    return printable(" ".join(plain.split()))[:LONGEST_VALUE]


def _said(one: Mistake, place: str) -> str:
    if one.kind == "missing":
        return f"{place} is missing: add it; {FORM.removeprefix('write it in ')} has an example" if place else f"{one.key} is missing"
    if one.kind == "extra_forbidden":
        keys = ", ".join(one.block.model_fields)
        return f"{place}: no such key; " + (f"did you mean {one.meant}?" if one.meant else f"choose one of {keys}")
    simple = isinstance(one.value, str | int | float | None) and one.value not in ("", one.key)
    value = f"={shown_value(one.value)}" if simple else ""
    return f"{place}{value}: {_rule(one)}" if place else _rule(one)


def _rule(one: Mistake) -> str:
    """Return the rule that a value breaks, and the remedy."""
    limits = {name: value for name, value in one.limits.items() if name in ("gt", "ge", "lt", "le")}
    if limits:
        return f"{_limits_in_words(limits)}; {_instead(one, limits)}"
    match one.kind:
        case "value_error":
            return one.message.removeprefix("Value error, ")
        case "float_parsing" | "float_type" | "int_parsing" | "int_type" | "int_from_float" | "finite_number" | "int_parsing_size":
            whole = "a whole number" if one.kind.startswith("int") else "a number"
            return f"must be {whole}; {_instead(one, {})}"
        case "string_type":
            return (
                f'must be a text; write it in quotes, as "{shown_value(one.value)}"'
                if isinstance(one.value, int | float)
                else "must be a text"
            )
        case "string_too_short" | "too_short":
            return "is empty; write at least one" if one.kind == "too_short" else "is empty; write a text, or leave the key out"
        case "string_too_long" | "too_long":
            return f"is too long; write at most {one.limits.get('max_length', 0):,}"
        case "literal_error":
            return f"must be {str(one.limits.get('expected', '')).replace(chr(39), '')}"
        case "tuple_type" | "list_type":
            return 'must be a list; begin each entry with "- id: NAME"' if one.key == "requirements" else "must be a list such as [a, b]"
        case "model_type" | "model_attributes_type":
            return f"must be a mapping with its keys; write {_shape(one)}"
        case "dict_type":
            return 'must be patterns by axis; write {model: "efficientnet_*"}'
    return one.message[0].lower() + one.message[1:]


def _limits_in_words(limits: dict[str, Any]) -> str:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    return "must be " + " and ".join(f"{words[name]} {limit:,}" for name, limit in limits.items())


def _instead(one: Mistake, limits: dict[str, Any]) -> str:
    """Return what to write instead: of a per cent its share, else a number of the right kind."""
    found = re.fullmatch(r"\D{0,3}(\d+(?:\.\d+)?)(\D{0,9})", str(one.value).strip())
    number = float(found[1]) if found else 0.0
    per_cent = found is not None and found[2].strip() == "%"
    if 1 < number < 100 and (limits.get("lt") == 1 or limits.get("le") == 1 or per_cent):
        return f"of a share write {number / 100:g}"
    if number == 1 and limits.get("lt") == 1:
        return "write less, such as 0.9: that all of them keep it, no number of them shows"
    if limits:
        return f"write a {'larger' if limits.keys() & {'gt', 'ge'} else 'smaller'} number"
    example = found[1] if found and isinstance(one.value, str) else "60" if one.kind.startswith("int") else "0.95"
    return f"write one such as {example}"


def _shape(one: Mistake) -> str:
    field = one.block.model_fields.get(one.key)
    block = next(_blocks_in(field.annotation), None) if field is not None else None
    if block is None:
        return "- id: NAME, and its keys below"
    needed = [name for name, of in block.model_fields.items() if of.is_required()] or [*block.model_fields][:1]
    return "{" + ", ".join(f"{name}: ..." for name in needed) + "}"
