"""``capacity``: estimate up to which rate tail quality is kept, then certify a rate near to that, over trials of one campaign.

Which rates are next follows from what is stored alone, so that a search goes on wherever it was interrupted.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from orchestrator.commands.line import COUNT, Number, config_dirs, full, overrides_alone, quiet, trust, typed, verb
from orchestrator.contracts import InputError

# Of the campaign, and of the folder below `results` where it lies
NAME = "capacity"
# Keys that this command gives itself
OURS = (
    "load.rate_per_s", "load.stream_s", "measurement.rule", "measurement.rule_options", "measurement.min_rounds", "measurement.max_rounds",
    "measurement.max_seconds", "measurement.repeat", "analysis.primary",
)  # fmt: skip
# Loads that have no rate
NO_RATE = ("closed", "trace")
# How the closed loop is measured that comes first: two rounds, and 3 s
CLOSED = {"rule": "rounds", "min_rounds": 2, "max_rounds": 1000, "max_seconds": 3.0}


@verb(
    "capacity model=efficientnet_lite0 task=imagenet_samples load=poisson --deadline '50 ms'",
    "capacity model=scene_detector task=digit_scenes system=cpu_1core,cpu_all --deadline '20 ms' --minutes 10",
)
@overrides_alone()
@click.option("--deadline", required=True, metavar="TIME", help="longest time from arrival to answer, such as '50 ms'")
@click.option(
    "--keep",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.99,
    metavar="SHARE",
    help="share of the ideal quality that must be kept (default 0.99)",
)
@click.option("--answers", type=COUNT, metavar="N", help="answers in a stream (default: enough that 10 may be lost)")
@click.option(
    "--minutes",
    type=Number(1, 10**4),
    metavar="M",
    help="end within M minutes, with a report; a small M makes streams shorter",
)
@config_dirs
@full
@quiet
@trust
def command(
    overrides: tuple[str, ...],
    deadline: str,
    keep: float,
    answers: int | None,
    minutes: float | None,
    config_dirs: tuple[Path, ...],
    full: bool,
    quiet: bool,
    trust: bool,
) -> int:
    """Find the highest arrival rate at which quality is kept.

    First estimate the highest rate at which each trial keeps its quality, then certify a rate near it. `resume DIR`
    continues an interrupted search. Exit code 3: a trial has no certified rate. See docs/load.md.
    """
    from orchestrator.analysis.capacity import ANY_RATE
    from orchestrator.commands.measuring import begun, measure, record_of
    from orchestrator.commands.planning import compose_campaign, look_at, open_site, plan_on
    from orchestrator.commands.searching import exit_code, exploring, time_of
    from orchestrator.configuration.load import LoadConfig
    from orchestrator.running.plan import make_plan_of
    from orchestrator.stats.capacity import answers_of_stream
    from orchestrator.stats.constants import FEWEST_LOST
    from orchestrator.storage.records import CapacityQuestion

    began_s = time.monotonic()
    _refuse_ours(overrides)
    label = time_of(deadline).label
    if answers is not None and answers < (fewest := answers_of_stream(keep, FEWEST_LOST)):
        raise InputError(
            f"--answers {answers}: a stream that keeps {keep:g} has {fewest} answers or more; raise it", "invalid", "--answers", answers
        )
    law = () if any(word.startswith(("load=", "+sweep=")) for word in overrides) else ("load=poisson",)
    words = (*overrides, *law, f"load.rate_per_s={ANY_RATE:g}", f'analysis.primary="{label}"')
    composed = compose_campaign(words, multirun=True, config_dirs=config_dirs, quiet=quiet)
    composed = replace(composed, composition=replace(composed.composition, name=NAME))
    with open_site(composed.campaign, composed.trials) as site:
        plan = plan_on(site, composed, rates_are_known=False)
        if plan.infeasible:
            first = plan.infeasible[0]
            raise InputError(
                f"{first.trial.model.name} on {first.trial.system.name} cannot run here: {first.reason}; leave it out", "unsupported"
            )
        trials = tuple(planned.trial for planned in plan.trials)
        question = CapacityQuestion(deadline=label, keep=keep, answers=answers, minutes=minutes, trials=trials)
        closed = [
            trial.model_copy(update={"load": LoadConfig(), "measurement": trial.measurement.model_copy(update=CLOSED)}) for trial in trials
        ]
        first_of_all = replace(make_plan_of(look_at(site, [(trial, "") for trial in closed])), left_out=plan.left_out)
        with begun(record_of(typed(), composed, first_of_all, capacity=question), trust) as writer:
            more = exploring(question, site, writer, began_s)
            return exit_code(measure(writer, first_of_all.trials, site, quiet, full, more=more), writer.directory, question)


def _refuse_ours(overrides: Sequence[str]) -> None:
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        if key in OURS or key.startswith("measurement.rule_options."):
            raise InputError(f"{word}: capacity gives this key itself; leave it out", "conflict", key)
        if key == "load" and value in NO_RATE:
            raise InputError(f"{word}: has no rate; capacity takes load=periodic, poisson or gamma", "unsupported", "load", value)
