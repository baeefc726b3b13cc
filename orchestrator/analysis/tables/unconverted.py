"""Tables whose columns are still declared by a typed row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.analysis.capacity_rows import CapacityRow, capacity_rows
from orchestrator.analysis.explain import ExplainRow, explain_rows
from orchestrator.analysis.groups import Group
from orchestrator.analysis.latency import LatencyRow, latency_rows
from orchestrator.analysis.load import LoadRow, load_rows
from orchestrator.analysis.resources import ResourcesRow, resources_rows
from orchestrator.analysis.server_cost import ServerCostRow, server_cost_rows
from orchestrator.analysis.table import Context, Row, table
from orchestrator.analysis.token_gaps import TokenGapsRow, token_gaps_rows
from orchestrator.analysis.trial_data import TrialData
from orchestrator.storage.typed_rows import bridged

MEAN = ("interval_low", "mean", "interval_high")
TIME = ("interval_low_ns", "value_ns", "interval_high_ns")


LATENCY = {
    "clock": {"label": "clock"},
    "percentile": {"form": "percentile"},
    "value_ns": {"label": "time", "form": "ms [interval_low_ns, interval_high_ns]"},
}


@table(
    "latency",
    [replace(one, **LATENCY.get(one.name, {})) for one in bridged(LatencyRow, TIME)],
    "trial",
    title="Latency of {task}",
    note="In brackets the 95 % interval of rounds to come.",
    across="percentile",
    section="Latency",
)
def _latency(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    yield from latency_rows(data, group.flags[data.trial_id], context.analysis)


@table("explain", bridged(ExplainRow), "trial")
def _explain(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    yield from explain_rows(data, group.thresholds.primary, group.flags[data.trial_id])


@table("load", bridged(LoadRow), "trial")
def _load(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    yield from load_rows(data, group.flags[data.trial_id])


@table("capacity", bridged(CapacityRow, MEAN), "campaign")
def _capacity(context: Context) -> Iterator[Row]:
    yield from capacity_rows(context.groups, context.campaign.capacity, context.rows["load"])


@table("resources", bridged(ResourcesRow), "group")
def _resources(context: Context, group: Group) -> Iterator[Row]:
    yield from resources_rows(group)


@table("server_cost", bridged(ServerCostRow), "campaign")
def _server_cost(context: Context) -> Iterator[Row]:
    yield from server_cost_rows(context.groups)


@table("token_gaps", bridged(TokenGapsRow), "group")
def _token_gaps(context: Context, group: Group) -> Iterator[Row]:
    yield from token_gaps_rows(group)
