"""``doctor``: is every host fit for timing? Reads, judges, and starts no trial."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from orchestrator.commands.progress import Progress
from orchestrator.configuration.composition import compose_places
from orchestrator.configuration.config import CampaignConfig, ClusterConfig, SystemConfig
from orchestrator.configuration.fields import Frozen, explain
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.doctor.findings import GRADES, Examined, Finding, host_names, read_host
from orchestrator.doctor.judge import judge_all, judge_place, missing_system
from orchestrator.machine.host import read_machine
from orchestrator.report.table import Table, condensed
from orchestrator.report.terminal import Terminal
from orchestrator.subject.digests import cache_dir

Say = Callable[[str], None]
NO_SERVER = ServerSettings()


class Place(Frozen):
    """Where to look: a cluster, and one system on it or all nodes; and a server that would be started beside the system's client."""

    cluster: ClusterConfig
    system: SystemConfig | None = None
    server: ServerSettings = ServerSettings()


def examine(overrides: Sequence[str], config_dirs: Sequence[Path], quiet: bool, everything: bool) -> bool:
    """Print the problems, or ``everything`` that was found. Returns whether none is bad."""
    places = [_place(document) for document in compose_places(overrides, config_dirs)]
    cluster = places[0].cluster
    systems = [place.system for place in places if place.system is not None]
    with Progress(0, None if quiet else sys.stderr) as progress:
        if cluster.name == "address":
            findings = examine_cluster(cluster, systems, progress.say, places[0].server)
        else:
            findings = examine_here(cluster, systems, places[0].server)
    print_findings(findings, everything)
    return all(finding.grade != "bad" for finding in findings)


def examine_here(cluster: ClusterConfig, systems: Sequence[SystemConfig], server: ServerSettings = NO_SERVER) -> list[Finding]:
    """Read this machine in this process. Starts no Ray."""
    reading = read_host()
    host, machine = reading.machine.host, reading.machine
    findings = list(judge_all([Examined(host, is_own=True, reading=reading)], cluster.machines, machine.versions))
    return findings + [found for system in systems for found in judge_place(host, system, server, machine)]


def examine_cluster(cluster: ClusterConfig, systems: Sequence[SystemConfig], say: Say, server: ServerSettings = NO_SERVER) -> list[Finding]:
    """Join the cluster and read its nodes, or only those that the systems name."""
    from orchestrator.distributed.cluster import open_joined

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


def _place(document: dict[str, object]) -> Place:
    try:
        return Place.model_validate(document)
    except ValidationError as error:
        raise InputError(explain(error)) from error
