"""``run``: plan a campaign, measure it, store it, report it. A command line without a verb means this one."""

from typing import Any

from orchestrator.commands.line import composing, full, trust, typed, verb
from orchestrator.contracts import InputError


@verb("+sweep=vision", "-m model=efficientnet_lite0 task=imagenet_samples system=cpu_1core,cpu_all")
@composing
@full
@trust
def command(cfg: str | None, info: bool, skip_infeasible: bool, full: bool, trust: bool, **words: Any) -> int:
    """Measure trials, store every timing, and report.

    Measure every trial that the words describe. Results go to results/NAME/TIME/, or where results_dir= says.
    """
    from orchestrator.commands.planning import compose_campaign, open_site, plan_on, show, whole_time

    if cfg or info:
        return show(cfg, **words)
    from orchestrator.commands.measuring import begun, measure, record_of

    composed = compose_campaign(**words)
    with open_site(composed.campaign, composed.trials) as site:
        plan = plan_on(site, composed)
        infeasible = plan.infeasible
        runnable = [planned for planned in plan.trials if planned.state == "planned"]
        if infeasible and not (skip_infeasible and runnable):
            remedy = "change the plan or add --skip-infeasible" if runnable else "change the plan"
            first = f"first {infeasible[0].trial_id}: {infeasible[0].reason}"
            raise InputError(f"{len(infeasible)} of {len(plan.trials)} trials cannot run here, {first}; {remedy}", "unsupported")
        with begun(record_of(typed(), composed, plan), trust) as writer:
            return measure(
                writer, runnable, site, words["quiet"], full, said=[*plan.parts, f"time: {whole_time(plan, composed.campaign.minutes)}"]
            )
