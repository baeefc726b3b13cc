"""``doctor``: is every host fit for timing? Reads, judges, and starts no trial."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.commands.line import config_dirs, flag, overrides_alone, quiet, verb

if TYPE_CHECKING:
    from orchestrator.doctor.judge import Diagnosis


@verb("doctor", "doctor cluster=address cluster.address=192.0.2.10:6379 system=v100,p100")
@overrides_alone("[cluster=address cluster.address=HOST:PORT] [system=a,b]")
@config_dirs
@flag("--all", "everything", help="print all findings, not only problems")
@quiet
def command(overrides: tuple[str, ...], config_dirs: tuple[Path, ...], everything: bool, quiet: bool) -> int:
    """Check whether hosts are fit for timing, and say why not.

    Look at this machine, or at every node of a cluster, and grade what disturbs timings: good, doubtful or bad. Starts no
    trial. Exit code 1: something is bad.
    """
    from pydantic import ValidationError, create_model

    from orchestrator.commands.progress import Progress
    from orchestrator.configuration import config
    from orchestrator.configuration.composition import compose_places
    from orchestrator.configuration.fields import Frozen, refusal
    from orchestrator.configuration.server import ServerSettings
    from orchestrator.doctor.judge import judge_here

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
        raise refusal(error) from error
    cluster, server = asked[0].cluster, asked[0].server
    systems = [one.system for one in asked if one.system is not None]
    with Progress(0, None if quiet else sys.stderr) as progress:
        if cluster.name == "address":
            from orchestrator.distributed.cluster import open_joined
            from orchestrator.subject.digests import cache_dir

            with open_joined(config.CampaignConfig(cluster=cluster), cache_dir()):
                from orchestrator.distributed.site import judge_cluster

                findings = judge_cluster(cluster, systems, server, progress.say)
        else:
            findings = judge_here(cluster, systems, server)
    print_findings(findings, everything)
    return int(any(finding.grade == "bad" for finding in findings))


def print_findings(findings: "list[Diagnosis]", everything: bool = True) -> None:
    """Print one line per finding, of what is good only if asked for, and the number of each grade; the worst come first."""
    from orchestrator.doctor.judge import GRADES
    from orchestrator.report.table import Table, condensed
    from orchestrator.report.terminal import Terminal

    terminal = Terminal()
    shown = sorted((one for one in findings if everything or one.grade != "good"), key=lambda one: -GRADES.index(one.grade))
    if shown:
        columns = ["host", "what", "is", "seen", "why"]
        rows = [[one.host, one.what, one.grade, one.seen, one.why] for one in shown]
        title = "Doctor" if everything else "What disturbs timings here"
        terminal.table(Table(title, columns, rows) if everything else condensed(Table(title, columns, rows), ["what", "is", "seen", "why"]))
    counts = [f"{sum(finding.grade == grade for finding in findings)} {grade}" for grade in GRADES]
    more = "" if everything or len(shown) == len(findings) else "; all findings: doctor --all"
    terminal.prose(f"{len(findings)} lines: {', '.join(counts)}{more}")
