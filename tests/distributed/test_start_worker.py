"""The program that starts the embedded Ray's processes does what Ray's own does."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

import pytest

from orchestrator.distributed.start_worker import CONTEXT, LIGHT_PROCESS, command_of, rays_own

WORKER = ["/some where/ray/_private/workers/default_worker.py", "--node-id=7", "--name=it's", "--language=PYTHON"]
PLAIN = {"command_prefix": ["cd", "/a/b", "&&"], "env_vars": {"OMP_NUM_THREADS": "2"}, "py_executable": "/x/python"}


@pytest.mark.cluster
@pytest.mark.parametrize(
    "context",
    [
        {},
        PLAIN,
        {**PLAIN, "override_worker_entrypoint": None, "java_jars": []},
        {"env_vars": {"FIRST": "one", "SECOND": "${FIRST}:$FIRST:${NOBODY_KNOWS}", "EMPTY": ""}, "py_executable": "'/x y/python' -X dev"},
    ],
)
def test_command_and_variables_are_those_of_ray(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private.runtime_env.context import RuntimeEnvContext
    from ray.core.generated.common_pb2 import Language

    asked: list[Any] = []
    monkeypatch.delenv("DYLD_LIBRARY_PATH", raising=False)
    for name in ("FIRST", "SECOND", "EMPTY", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "before")
    monkeypatch.setattr(os, "execvp", lambda file, args: asked.append([args, dict(os.environ)]))
    before = dict(os.environ)
    RuntimeEnvContext.deserialize(json.dumps(context)).exec_worker(WORKER[:-1], Language.PYTHON)
    os.environ.update(before)
    ours = command_of([*WORKER, f"{CONTEXT}{json.dumps(context)}"], os.environ)
    assert ours is not None
    assert asked == [[[*ours[:-1], ours[-1].replace(f"{shlex.quote(LIGHT_PROCESS)} ", "")], dict(os.environ)]]
    assert f"{shlex.quote(LIGHT_PROCESS)} {shlex.quote(WORKER[0])}" in ours[-1]


@pytest.mark.parametrize(
    "words",
    [
        [],
        [f"{CONTEXT}{{}}", f"{CONTEXT}{{}}"],
        [f"{CONTEXT}{{}}", "--language=JAVA"],
        [f'{CONTEXT}{{"container": {{}}}}'],
        [f'{CONTEXT}{{"override_worker_entrypoint": "/there"}}'],
        [f'{CONTEXT}{{"java_jars": ["a.jar"]}}'],
    ],
)
def test_what_is_said_otherwise_is_left_to_ray(words: list[str]) -> None:
    before = dict(os.environ)
    assert command_of([*WORKER, *words], os.environ) is None
    assert dict(os.environ) == before
    assert rays_own([*WORKER, *words])[1:] == ["/some where/ray/_private/workers/setup_worker.py", *WORKER, *words]
