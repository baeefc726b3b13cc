"""Ray's own command line, whose nodes start no more than ours needs: ``python -P light_ray.py start ...`` for ``ray start ...``.

It needs Ray alone: a host's interpreter need not have this project. ``-P`` keeps this folder off the path.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from subprocess import list2cmdline
from typing import Any

START_WORKER = str(Path(__file__).with_name("start_worker.py"))
LIGHT_PROCESS = str(Path(__file__).with_name("light_process.py"))
NO_AGENT = str(Path(__file__).with_name("no_agent.py"))
UNASKED = ("start_api_server", "start_ray_client_server")
"""How Ray's node calls the start of its dashboard, also of one that is off, and of what serves drivers at ``ray://`` addresses."""


@contextmanager
def replaced(owner: object, makers: Mapping[str, Callable[[Any], Any]]) -> Iterator[None]:
    """Have something of Ray's be what is made of it, meanwhile. A Ray that calls it otherwise keeps it, and nothing else changes."""
    before = {name: getattr(owner, name) for name in makers if hasattr(owner, name)}
    for name, its_own in before.items():
        setattr(owner, name, makers[name](its_own))
    try:
        yield
    finally:
        for name, its_own in before.items():
            setattr(owner, name, its_own)


def without(names: Sequence[str]) -> AbstractContextManager[None]:
    """Have Ray start no process besides those that run ours: the others take seconds to start, and time beside what is measured.

    Ray has no option for it.
    """
    from ray._private.node import Node

    return replaced(Node, dict.fromkeys(names, lambda start: lambda self, **options: None))


def without_its_words() -> AbstractContextManager[None]:
    """Have a driver that joins a Ray meanwhile print nothing of what Ray says to all drivers: exceptions say what concerns ours."""
    import ray._private.worker as drivers

    return replaced(drivers, {"listen_error_messages": lambda listen: lambda worker, threads_stopped: None})


@contextmanager
def started_lightly() -> Iterator[None]:
    """Have a Ray that is started meanwhile start its processes with our programs."""
    from ray._private import ray_constants, services

    with ExitStack() as stack:
        if sys.platform.startswith("linux"):
            # A whole path: Ray joins it to its own folder.
            stack.enter_context(replaced(ray_constants, {"SETUP_WORKER_FILENAME": lambda name: START_WORKER}))
            stack.enter_context(replaced(services, {"start_ray_process": _with_light_agents}))
        yield


def _with_light_agents(start: Callable[..., Any]) -> Callable[..., Any]:
    def starting(command: Sequence[str], *arguments: Any, **options: Any) -> Any:
        return start(without_dashboard_agent(with_light_agent(command)), *arguments, **options)

    return starting


RUNTIME_ENV_AGENT, DASHBOARD_AGENT = "--runtime_env_agent_command=", "--dashboard_agent_command="
"""How a raylet is told with which commands to start its two agents."""
OTHERS_PORTS = ("GCS_SERVER_PORT_NAME", "RUNTIME_ENV_AGENT_PORT_NAME")


def with_light_agent(command: Sequence[str]) -> list[str]:
    """Return the command of a raylet whose agent of environments does not import what it never uses."""
    from ray._private.services import RAY_PATH

    program = str(Path(RAY_PATH, "_private", "runtime_env", "agent", "main.py"))
    both = list2cmdline([LIGHT_PROCESS, program])
    return [word.replace(list2cmdline([program]), both, 1) if word.startswith(RUNTIME_ENV_AGENT) else word for word in command]


def without_dashboard_agent(command: Sequence[str]) -> list[str]:
    """Return the command of a raylet without the dashboard's agent: it takes the place of none, and serves no port.

    That agent would write -1 for each port itself where its packages are missing. A Ray that keeps its ports elsewhere has its own.
    """
    raylets = import_module("ray._raylet")
    told = {name: word for word in command for name in (DASHBOARD_AGENT, "--session_dir=") if word.startswith(name)}
    node = re.search(r"--node-id=(\w+)", told.get(DASHBOARD_AGENT, ""))
    ports = [name for name in dir(raylets) if name.endswith("_PORT_NAME") and name not in OTHERS_PORTS]
    if len(told) < 2 or node is None or not ports:
        return list(command)
    folder = told["--session_dir="].partition("=")[2]
    for port in ports:
        raylets.persist_port(folder, node[1], getattr(raylets, port), -1)
    instead = f"{DASHBOARD_AGENT}{list2cmdline([sys.executable, '-ISP', NO_AGENT, folder])}"
    return [instead if word == told[DASHBOARD_AGENT] else word for word in command]


if __name__ == "__main__":
    sys.modules["ray.serve"] = None  # type: ignore[assignment] # never called here, and longer to import than the rest
    from ray.scripts.scripts import main

    with without(UNASKED), started_lightly():
        main()  # type: ignore[no-untyped-call]
