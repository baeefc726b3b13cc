"""The server that answers in the place of a model in this process: the block ``server``."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from orchestrator.configuration.fields import SECRET, Cores, File, Frozen, Modules, Name, matches

LONGEST_TIMEOUT_S = 86_400
MOST_IN_FLIGHT = 4096  # each request in flight is a thread with a connection of its own
# Requests on their way at once where a schedule says when they are sent and the user does not say how many.
MOST_UNASKED_IN_FLIGHT = 256
NOT_ASKED = "none"
URL_FORM = "must be http://HOST:PORT or https://HOST:PORT, with a path if the server wants one"

PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
# What every command may name: a folder for derived files, the number of the server's cores, host and port of its URL, the timed process's
# Python, and the URL itself.
KNOWN = ("cache", "cores", "host", "port", "python", "url")
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Command = Annotated[tuple[str, ...], Field(min_length=1)]
Setting = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
VARIABLE = matches(
    r"[A-Za-z_][A-Za-z0-9_]{0,199}",
    "must be the name of an environment variable that holds the token, such as MY_TOKEN, and not the token itself",
)
# Keys that mean something only beside ``command``.
STARTING = ("ready_url", "ready_s", "cores", "stop_s", "settings", "environment", "packages", "version_command")


def named_in(texts: Iterable[str]) -> set[str]:
    """Return the names that texts hold in braces; braces around anything else, as in JSON, stay what they are."""
    return {name for text in texts for name in PLACE.findall(text)}


def filled(text: str, values: Mapping[str, object]) -> str:
    """Return a text with values in the place of names. Numbers are written as in YAML, ``true`` and ``false`` small."""
    written = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
    return PLACE.sub(lambda match: written.get(match[1], match[0]), text)


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


class ServerSettings(Frozen):
    """Which server is asked, and how; ``server=none`` is a model in this process.

    name
        what results know the server by; part of a trial's id, which ``url`` is not.
    url
        where it answers: ``http://HOST:PORT``, and a path where it wants one.
    token_env, token_file
        the name of the environment variable, or the file, that holds the server's token. The token itself is never stored.
    token_header
        the header that it goes into: ``Authorization`` as a bearer token, any other as it is.
    ca
        a PEM file with the certificates that an ``https`` server is checked against; null takes the system's.
    timeout_s
        a request that takes longer is given up, and its outcome is ``timeout``.
    keep_alive
        whether a connection serves many requests; null: yes, but for streamed answers, after which servers close it whatever they announce.
    in_flight
        requests on their way at once, at most; null: 1 under ``load=closed``, 256 under any other load.

    The other keys start a server on the host of the trial's system; without ``command`` one that runs is asked.

    command
        the program and its arguments, in the foreground. ``{port}``, ``{host}``, ``{url}``, ``{cores}`` (their number), ``{python}`` (that
        of the timed process), ``{cache}`` (a folder for derived files) and the names of ``settings`` stand for their values. Port 0 in
        ``url`` takes a free one.
    settings
        values of the user's own names, such as batch or concurrency: part of a trial's id, and axes of a sweep.
    environment
        variables of its process, besides those that it inherits.
    packages
        the Python modules it cannot do without; their versions are recorded.
    version_command
        a program that prints the server's version.
    ready_url, ready_s
        the path or URL that answers 200 once the server is ready (null: ``url``), and how long that may take.
    cores
        a number of cores, or a list of core numbers, that it is pinned to, none of them the client's; null: all that the client leaves.
    stop_s
        how long it may take to end before it is killed.
    """

    name: Name = NOT_ASKED
    url: str | None = None
    token_env: Annotated[str, VARIABLE] | None = None
    token_file: File | None = None
    ca: File | None = None
    token_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")] = "Authorization"  # noqa: S105 - a name
    timeout_s: float = Field(60.0, gt=0, le=LONGEST_TIMEOUT_S)
    keep_alive: bool | None = None
    in_flight: int | None = Field(None, gt=0, le=MOST_IN_FLIGHT)
    command: Command | None = None
    ready_url: str | None = None
    ready_s: float = Field(60.0, gt=0, le=LONGEST_TIMEOUT_S)
    cores: Cores = None
    stop_s: float = Field(10.0, gt=0, le=LONGEST_TIMEOUT_S)
    settings: dict[Setting, bool | int | float | str] = Field({})
    environment: dict[Setting, str] = Field({})
    packages: Modules = ()
    version_command: tuple[str, ...] = ()

    @property
    def is_asked(self) -> bool:
        return self.name != NOT_ASKED

    @property
    def is_started(self) -> bool:
        return self.command is not None

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url or "")

    def at(self, port: int) -> Self:
        host = f"[{self.parts.hostname}]" if ":" in (self.parts.hostname or "") else self.parts.hostname
        return self.model_copy(update={"url": self.parts._replace(netloc=f"{host}:{port}").geturl()})

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """Ask for a name in words, and refuse a URL that holds a secret without showing it: it would be stored."""
        if not isinstance(data, dict):
            return data
        if "name" in data and data["name"] is None:
            raise ValueError("has no name; add server.name=NAME, by which results know the server, since its URL may change")
        if re.search(r"[@?#]", str(data.get("url") or "")):
            raise ValueError(
                "url holds more than a host, a port and a path; give a token by server.token_env=VARIABLE or server.token_file=PATH"
            )
        return data

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            _ = parts.port  # raises for what is no port
        except ValueError as error:
            raise ValueError(URL_FORM) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[!-~]+", url):
            raise ValueError(URL_FORM)
        return url.rstrip("/")

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        changed = self.changed()
        if not self.is_asked:
            key = min(changed, default="")
            shown = "" if key.startswith(SECRET) else f"={getattr(self, key, None)}"
            return self.sound((changed, f"{key}{shown} has no effect under server=none; choose server=url"))
        idle = next((key for key in STARTING if key in changed), None)
        wrong = complaint([*(self.command or ()), *self.environment.values()], self.settings)
        return self.sound(
            (self.url is None, f"server.name={self.name} has no address; add server.url=http://HOST:PORT"),
            (self.token_env and self.token_file, "has two tokens, server.token_env and server.token_file; leave one out"),
            (
                self.ca and self.parts.scheme != "https",
                f"ca={self.ca} has no effect on {self.url}; write https:// in server.url, or leave server.ca out",
            ),
            (
                not self.is_started and self.parts.port == 0,
                f"url={self.url} names no port; write the port on which server.name={self.name} answers",
            ),
            (
                not self.is_started and idle,
                f"{idle} has no effect on a server that runs already; leave it out, or add server.command=[PROGRAM]",
            ),
            (
                self.is_started and (self.parts.hostname not in LOOPBACK or self.parts.port is None),
                f"url={self.url}: a server that is started answers on its own host alone; write http://127.0.0.1:PORT, or port 0 "
                "for a free one",
            ),
            (self.is_started and wrong, str(wrong)),
        )
