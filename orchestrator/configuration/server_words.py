"""The words of a server's command: ``{port}``, ``{cores}`` and the names of its settings stand for what is known when it is started."""

import re
from collections.abc import Iterable, Mapping

PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
KNOWN = ("cache", "cores", "host", "port", "python", "url")
"""What every command may name: a folder for derived files, the number of the server's cores, host and port of its URL, the timed process's
Python, and the URL itself."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def named_in(texts: Iterable[str]) -> set[str]:
    """Return the names that texts hold in braces; braces around anything else, as in JSON, stay what they are."""
    return {name for text in texts for name in PLACE.findall(text)}


def filled(text: str, values: Mapping[str, object]) -> str:
    """Return a text with values in the place of names. Numbers are written as in YAML, ``true`` and ``false`` small."""
    return PLACE.sub(lambda match: _written(values[match[1]]) if match[1] in values else match[0], text)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def complaint(texts: Iterable[str], settings: Mapping[str, object]) -> str | None:
    """Return what is wrong with the names in a command and its environment, or None."""
    for name in settings:
        if name in KNOWN:
            return f"server.settings.{name} is the name of what every command may name; choose another"
    named = named_in(texts)
    for name in sorted(named - set(settings) - set(KNOWN)):
        known = ", ".join([*sorted(settings), *KNOWN])
        return f"server.command names {{{name}}}, which has no value; add server.settings.{name}=VALUE or choose of {known}"
    for name in sorted(set(settings) - named):
        return f"server.settings.{name} has no effect: neither server.command nor server.environment names {{{name}}}"
    return None
