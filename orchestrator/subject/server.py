"""How a server is reached: its address, its certificates and its token. The token leaves this program in requests alone."""

import importlib.util
import os
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.configuration.environment_values import Secret
from orchestrator.configuration.server import ServerSettings, filled, named_in
from orchestrator.contracts import InputError

CHECK_S = 10.0  # a server that takes no connection for so long is not there
LONGEST_TOKEN = 16_384
INTERPRETER = "interpreter"  # the setting of a server whose packages stand in an environment of their own
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """Where a server answers: resolved once, since names are not part of an answer's time.

    host, port, path
        of its URL; ``path`` stands before that of every request.
    numbers
        family and address of each of its network addresses, in the order to try.
    tls
        for ``https``, else None.
    """

    host: str
    port: int
    path: str
    numbers: tuple[tuple[int, tuple[object, ...]], ...]
    tls: ssl.SSLContext | None = None

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS["http" if self.tls is None else "https"] else f"{host}:{self.port}"


def headers_of(settings: ServerSettings, secret: Secret) -> dict[str, str]:
    """Return the header that a server's token goes into; none without one."""
    if not secret.token:
        return {}
    return {settings.token_header: f"Bearer {secret.token}" if settings.token_header.lower() == "authorization" else secret.token}


def address_of(settings: ServerSettings) -> Address:
    """Return where a server answers. Raises InputError for a name that no network knows, and certificates that cannot be read."""
    assert settings.url is not None
    parts = urlsplit(settings.url)
    host, port = str(parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"server.url={settings.url}: the host {host} has no known address ({error}); correct the URL",
            "not_found",
            "server.url",
            settings.url,
        ) from error
    try:
        tls = ssl.create_default_context(cafile=settings.ca) if parts.scheme == "https" else None
    except OSError as error:
        raise InputError(
            f"server.ca={settings.ca} cannot be read as certificates in PEM form ({error}); correct the path",
            "unreadable",
            "server.ca",
            settings.ca,
        ) from error
    numbers = tuple((int(family), tuple(address)) for family, _, _, _, address in found)
    return Address(host, port, parts.path.rstrip("/"), numbers, tls)


def token_of(settings: ServerSettings) -> Secret:
    """Return a server's token, an empty one where it wants none. Raises InputError, without it, where it is not to be had."""
    if settings.token_env is not None:
        # Its value may be the token itself, which no message repeats.
        where, found = "server.token_env", os.environ.get(settings.token_env)
        if found is None:
            raise InputError(
                f"{where}: this environment variable is not set; name the one that holds the server's token, and set it", "missing", where
            )
    elif settings.token_file is not None:
        where = "server.token_file"
        try:
            with Path(settings.token_file).open(encoding="latin-1") as file:
                found = file.read(LONGEST_TOKEN + 1)
        except OSError as error:
            raise InputError(
                f"{where} cannot be read ({error.strerror}); it must be a file that holds the token: correct the path or its permissions",
                "unreadable",
                where,
            ) from error
    else:
        return Secret("")
    token = found.strip()
    if not token or len(token) > LONGEST_TOKEN or not all("!" <= letter <= "~" for letter in token):
        raise InputError(
            f"{where}: holds no token, which is 1 to {LONGEST_TOKEN:,} visible ASCII characters in one line; correct it", key=where
        )
    return Secret(token)


def connect(address: Address, timeout_s: float) -> socket.socket:
    """Return an open connection. Raises OSError, of which TimeoutError and ssl.SSLError are kinds."""
    last: OSError = OSError("no address")
    for family, number in address.numbers:
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(timeout_s)
            plain.connect(number)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain if address.tls is None else address.tls.wrap_socket(plain, server_hostname=address.host)
        except OSError as error:
            plain.close()
            last = error
    raise last


def check_server(settings: ServerSettings) -> None:
    """Raise InputError for a server that takes no connection here and now, and for a token that is not to be had.

    Nothing is asked of it. One that the campaign starts itself need not be there yet.
    """
    if not settings.is_asked:
        return
    token_of(settings)
    if settings.command is not None:
        for module in settings.packages:
            if importlib.util.find_spec(module.partition(".")[0]) is None:
                raise InputError(
                    f"server={settings.name} needs the package {module}, which is not installed; install it (the extra `servers` brings "
                    "litserve and xllamacpp), or choose another",
                    "not_installed",
                    "server",
                    settings.name,
                )
        program = filled(settings.command[0], settings.settings)
        if named_in([program]) or shutil.which(program) is not None:
            return
        if INTERPRETER in named_in(settings.command[:1]):
            raise InputError(
                f"server.settings.{INTERPRETER}={program}: there is no such program, and server={settings.name} runs in a Python of its "
                "own; `python requirements/servers.py FOLDER` makes it, and TAIL_QUALITY_SERVERS_PYTHON=FOLDER/bin/python names it",
                "not_found",
                f"server.settings.{INTERPRETER}",
                program,
            )
        raise InputError(
            f"server={settings.name} needs the program {program}, which is not on PATH; install it or choose another",
            "not_installed",
            "server",
            settings.name,
        )
    try:
        connect(address_of(settings), min(CHECK_S, settings.timeout_s)).close()
    except OSError as error:
        raise InputError(
            f"server.url={settings.url}: the server {settings.name} takes no connection ({reason(error)}); start it, or correct the URL",
            "unsafe" if isinstance(error, ssl.SSLError) else "not_found",
            "server.url",
            settings.url,
        ) from error


def reason(error: BaseException) -> str:
    """Return why a connection failed, in one line, which is not cut: a token must first be taken out of it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; server.ca=PATH names others"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
