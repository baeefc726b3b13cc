"""``doctor``: is every host fit for timing? Reads, judges, and starts no trial."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.commands.line import config_dirs, flag, overrides_alone, quiet, verb
from orchestrator.contracts import InputError

if TYPE_CHECKING:
    from orchestrator.configuration.config import ClusterConfig, SystemConfig
    from orchestrator.configuration.server import ServerSettings
    from orchestrator.doctor.judge import Finding


@verb("doctor", "doctor cluster=address cluster.address=192.0.2.10:6379 system=v100,p100")
@overrides_alone("[cluster=address cluster.address=HOST:PORT] [system=a,b]")
@config_dirs
@flag("--all", "everything", help="print what is good as well, not the problems alone")
@quiet
def command(overrides: tuple[str, ...], config_dirs: tuple[Path, ...], everything: bool, quiet: bool) -> int:
    """Is every host fit for timing: good, doubtful or bad, and why.

    Look at this machine, or at every node of a cluster, and judge what disturbs timings there. Starts no trial.
    """
    from pydantic import ValidationError, create_model

    from orchestrator.commands.progress import Progress
    from orchestrator.configuration import config
    from orchestrator.configuration.composition import compose_places
    from orchestrator.configuration.fields import Frozen, explain
    from orchestrator.configuration.server import ServerSettings

    # A cluster, and one system on it or all nodes; and a server that would be started beside the system's client.
    place: dict[str, Any] = {
        "cluster": config.ClusterConfig,
        "system": (config.SystemConfig | None, None),
        "server": (ServerSettings, ServerSettings()),
    }
    model = create_model("Place", __base__=Frozen, **place)
    try:
        asked: list[Any] = [model.model_validate(document) for document in compose_places(overrides, config_dirs)]
    except ValidationError as error:
        raise InputError(explain(error)) from error
    cluster, server = asked[0].cluster, asked[0].server
    systems = [place.system for place in asked if place.system is not None]
    with Progress(0, None if quiet else sys.stderr) as progress:
        if cluster.name == "address":
            findings = examine_cluster(cluster, systems, progress.say, server)
        else:
            findings = examine_here(cluster, systems, server)
    print_findings(findings, everything)
    return int(any(finding.grade == "bad" for finding in findings))


def examine_here(cluster: ClusterConfig, systems: Sequence[SystemConfig], server: ServerSettings) -> list[Finding]:
    """Read this machine in this process. Starts no Ray."""
    from orchestrator.doctor.judge import Examined, judge_all, judge_place
    from orchestrator.doctor.readings import read_host

    reading = read_host()
    host, machine = reading.machine.host, reading.machine
    findings = list(judge_all([Examined(host, is_own=True, reading=reading)], cluster.machines, machine.versions))
    return findings + [found for system in systems for found in judge_place(host, system, server, machine)]


def examine_cluster(
    cluster: ClusterConfig, systems: Sequence[SystemConfig], say: Callable[[str], None], server: ServerSettings
) -> list[Finding]:
    """Join the cluster and read its nodes, or only those that the systems name."""
    from orchestrator.configuration.config import CampaignConfig
    from orchestrator.distributed.cluster import open_joined
    from orchestrator.doctor.judge import host_names, judge_all, judge_place, missing_system
    from orchestrator.machine.host import read_machine
    from orchestrator.subject.digests import cache_dir

    with open_joined(CampaignConfig(cluster=cluster), cache_dir()):
        from orchestrator.distributed.placement import Node, choose_node
        from orchestrator.distributed.site import examine_nodes, living_nodes

        nodes = living_nodes()
        chosen: list[tuple[SystemConfig, Node]] = []
        missing: list[Finding] = []
        for system in systems:
            try:
                chosen.append((system, choose_node(system, nodes)))
            except InputError as error:
                missing.append(missing_system(system, str(error)))
        places = {(node.node_id, system.python): (node, system.python) for system, node in chosen}
        if not systems:
            places = {(node.node_id, None): (node, None) for node in nodes}
        examined = dict(zip(places, examine_nodes(list(places.values()), say), strict=True))

    found = list(examined.values())
    hosts = dict(zip(places, host_names(found), strict=True))
    findings = list(judge_all(found, cluster.machines, read_machine().versions))
    for system, node in chosen:
        reading = examined[node.node_id, system.python].reading
        if reading is not None:
            machine = replace(reading.machine, labels=node.labels)
            findings += judge_place(hosts[node.node_id, system.python], system, server, machine)
    return findings + missing


def print_findings(findings: Sequence[Finding], everything: bool = True) -> None:
    """Print one line per finding, of what is good only if asked for, and the number of each grade; the worst come first."""
    from orchestrator.doctor.judge import GRADES
    from orchestrator.report.table import Table, condensed
    from orchestrator.report.terminal import Terminal

    terminal = Terminal()
    shown = [one for one in findings if everything or one.grade != "good"]
    if not everything:
        shown.sort(key=lambda one: -GRADES.index(one.grade))
    if shown:
        columns = ["host", "what", "is", "seen", "why"]
        rows = [[one.host, one.what, one.grade, one.seen, one.why] for one in shown]
        title = "Doctor" if everything else "What disturbs timings here"
        terminal.table(Table(title, columns, rows) if everything else condensed(Table(title, columns, rows), ["what", "is", "seen", "why"]))
    counts = [f"{sum(finding.grade == grade for finding in findings)} {grade}" for grade in GRADES]
    more = "" if everything or len(shown) == len(findings) else "; what is good too: doctor --all"
    terminal.prose(f"{len(findings)} lines: {', '.join(counts)}{more}")
