"""The server that answers in the place of a model in this process: the block ``server``."""

import re
from collections.abc import Iterable, Mapping, Sequence
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


def mistakes_of_names(
    block: str, texts: Sequence[str], settings: Mapping[str, object], known: Sequence[str]
) -> tuple[tuple[object, str], ...]:
    """Return what may be wrong with the names in a command's texts, as `Frozen.sound` takes it; ``known`` have values without a setting."""
    named = named_in(texts)
    taken = min(settings.keys() & set(known), default=None)
    lacking, unused = min(named - {*settings, *known}, default=None), min(settings.keys() - named, default=None)
    return (
        (taken, f"{block}.settings.{taken} is the name of what every command may name; choose another"),
        (
            lacking,
            f"{block}.command names {{{lacking}}}, which has no value; add {block}.settings.{lacking}=VALUE or choose among "
            f"{', '.join([*sorted(settings), *known])}",
        ),
        (unused, f"{block}.settings.{unused} has no effect: nothing in {block} names {{{unused}}}"),
    )


class ServerSettings(Frozen):
    """The server that computes the answers, if any, and how requests are sent."""

    name: Name = Field(
        NOT_ASKED, description="name of the server in results, and part of a trial's id; `none` runs the model in the timed process"
    )
    url: str | None = Field(
        None,
        description="`http://HOST:PORT` or `https://`, with a path if the server needs one; port 0 takes a free one for a started server",
    )
    token_env: Annotated[str, VARIABLE] | None = Field(
        None, description="environment variable that holds the token; only its name is stored"
    )
    token_file: File | None = Field(None, description="file that holds the token; only its name is stored")
    ca: File | None = Field(None, description="PEM file that an `https` server is checked against; null takes the system's certificates")
    token_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")] = Field(
        "Authorization", description="header of the token: a bearer token in `Authorization`, the plain token in any other"
    )
    timeout_s: float = Field(
        60.0, gt=0, le=LONGEST_TIMEOUT_S, description="a request that takes longer is given up; its outcome is `timeout`"
    )
    keep_alive: bool | None = Field(None, description="use one connection for many requests; null: yes, except for streamed answers")
    in_flight: int | None = Field(
        None, gt=0, le=MOST_IN_FLIGHT, description="most requests in flight; null takes 1 in a closed loop, 256 under load"
    )
    command: Command | None = Field(
        None,
        description="start the server with each trial: program and arguments, in which names in braces are replaced by values",
    )
    ready_url: str | None = Field(None, description="path or URL that answers 200 once a started server is ready; null takes `server.url`")
    ready_s: float = Field(60.0, gt=0, le=LONGEST_TIMEOUT_S, description="time that a started server may take to be ready")
    cores: Cores = Field(
        None, description="cores of a started server: a number, or a list disjoint from the client's; null takes all that the client leaves"
    )
    stop_s: float = Field(10.0, gt=0, le=LONGEST_TIMEOUT_S, description="time a started server may take to end before it is killed")
    settings: dict[Setting, bool | int | float | str] = Field(
        {}, description="values for its command and environment, part of a trial's id and axes of a sweep"
    )
    environment: dict[Setting, str] = Field({}, description="environment variables of a started server; write a secret as `${oc.env:NAME}`")
    packages: Modules = Field((), description="modules that a started server needs; their versions are recorded")
    version_command: tuple[str, ...] = Field((), description="program whose first line of output is recorded as the server's version")

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
            *mistakes_of_names("server", [*(self.command or ()), *self.environment.values()], self.settings, KNOWN),
        )
