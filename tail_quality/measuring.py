"""Measure functions, or a sweep, by the ordinary plan, pipeline and store."""

import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeVar

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.commands.measuring import begun, record_of
from orchestrator.commands.planning import Composed, compose_campaign, open_site, plan_on
from orchestrator.commands.progress import Progress, pace_of
from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError
from orchestrator.measurement.failures import TrialFailed
from orchestrator.report.text import seconds
from orchestrator.report.trial_names import short_names
from orchestrator.running.executor import Site
from orchestrator.running.pipeline import run_trials
from orchestrator.running.plan import Plan
from orchestrator.storage.files import write_results
from orchestrator.storage.handover import Prepared
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from tail_quality.held import Held, holding
from tail_quality.results import Comparison, Result, bound_of

CONF = Path(__file__).parent / "conf"
PREFIX = "tail-quality-"
Say = Callable[[str], None]
R = TypeVar("R", bound=Result)


def tell(message: str) -> None:
    """Say something on stderr."""
    print(message, file=sys.stderr)  # noqa: T201


def measure(
    fn: Callable[..., Any],
    inputs: Any,
    labels: Any,
    *,
    metric: str = "accuracy",
    deadline: str | None = None,
    rounds: int = 60,
    preprocess: Callable[[Any], Any] | None = None,
    postprocess: Callable[[Any], Any] | None = None,
    batch: int | None = None,
    isolate: bool = False,
    name: str | None = None,
    overrides: Sequence[str] = (),
    say: Say | None = tell,
) -> Result:
    """Measure the tail quality of a function over labelled inputs.

    Parameters
    ----------
    fn
        a function of one input, a module of PyTorch, a session of ONNX Runtime, or an estimator of scikit-learn or its method.
    inputs, labels
        a list, an array, a tensor or a data frame whose rows are inputs; one label for each.
    metric
        the name of a metric, such as ``accuracy``, ``top1`` or ``f1_macro``.
    deadline
        such as ``"20 ms"``: answers later than that are wrong.
    rounds
        passes over all inputs, in visits of two that lie apart. Below 24 nothing is said of later rounds.
    preprocess, postprocess
        stages of their own: of one input, and of what came out for one.
    batch
        inputs in a call; a plain function then takes a batch.
    isolate
        measure in a fresh, pinned process; by default in this one, which the results flag *unpinned*.
    name
        in results; the function's own by default.
    overrides
        further settings, as on the command line: ``measurement.pause=0``.
    say
        is told how long it takes, before the first round; None for silence.

    Raises
    ------
    InputError
        for a mistake in what was given.
    TrialFailed
        where the function raises.
    """
    given = Held({name or name_of(fn): fn}, inputs, labels, metric, preprocess, postprocess, batch is not None)
    return _measured(Result, given, deadline, rounds, batch or 1, isolate, overrides, say)


def compare(
    functions: Mapping[str, Callable[..., Any]],
    inputs: Any,
    labels: Any,
    *,
    metric: str = "accuracy",
    deadline: str | None = None,
    rounds: int = 60,
    preprocess: Callable[[Any], Any] | None = None,
    postprocess: Callable[[Any], Any] | None = None,
    batch: int | None = None,
    isolate: bool = False,
    overrides: Sequence[str] = (),
    say: Say | None = tell,
) -> Comparison:
    """Compare functions on the same inputs: their visits alternate, and each is held against the first.

    Parameters and errors are those of `measure`; ``functions`` are by name.
    """
    if len(functions) < 2:
        raise InputError(f"{len(functions)} functions: a comparison takes at least two, by name", key="functions")
    given = Held(functions, inputs, labels, metric, preprocess, postprocess, batch is not None)
    return _measured(Comparison, given, deadline, rounds, batch or 1, isolate, overrides, say)


def run(*words: str, multirun: bool = False, config_dirs: Sequence[Path] = (), say: Say | None = tell) -> Result:
    """Measure what the words of a command line describe: ``run("+sweep=vision", 'analysis.primary="50 ms"')``.

    ``multirun`` is ``-m``: several values of a key make several trials. The results lie where the command would put them.
    """
    composed = compose_campaign(words, multirun, config_dirs, quiet=True)
    with open_site(composed.campaign, composed.trials) as site:
        plan = plan_of(site, composed)
        with begun(record_of(words, composed, plan), trust=False) as writer:
            _run(writer, plan, site, say)
    return Result(writer.directory)


def load_config(*words: str, multirun: bool = False, config_dirs: Sequence[Path] = ()) -> list[Trial]:
    """Return the trials that the words of a command line describe, composed and checked. Nothing is looked at or measured."""
    return compose_campaign(words, multirun, config_dirs, quiet=True).trials


def name_of(fn: Any) -> str:
    """Return a name for a function that results can hold.

    Examples
    --------
    >>> name_of(len), name_of(lambda x: x)
    ('len', 'lambda')
    """
    found = getattr(fn, "__qualname__", type(fn).__name__)
    return re.sub(r"[^A-Za-z0-9_.]+", "_", found.rpartition("<locals>.")[2]).strip("_.") or "function"


class Announcing(Progress):
    """Says once how long the rounds of all trials take, when the first one is warm."""

    def __init__(self, trials: Sequence[PlannedTrial], say: Say) -> None:
        super().__init__(len(trials), None, short_names(trials))
        self._all, self._tell, self._told = trials, say, False

    def trial_prepared(self, planned: PlannedTrial, prepared: Prepared) -> None:
        super().trial_prepared(planned, prepared)
        measurement, at_once = planned.trial.measurement, len(self._all)
        rounds = pace_of(measurement).least
        round_s = prepared.cold_start["warmup_rounds_ns"][-1] / 1e9
        took = seconds(rounds * round_s * max(at_once, 1 + measurement.pause))
        if not self._told:
            self._tell(f"{rounds} rounds{f' of each of {at_once}' if at_once > 1 else ''}, in visits with pauses: about {took}")
        self._told = True


def plan_of(site: Site, composed: Composed) -> Plan:
    """Return the plan of a campaign. Raises InputError for a trial that cannot run here."""
    plan = plan_on(site, composed)
    if plan.infeasible:
        raise InputError(f"{plan.infeasible[0].trial_id} cannot run here: {plan.infeasible[0].reason}; change the plan", "unsupported")
    return plan


def _measured(
    kind: type[R], given: Held, deadline: str | None, rounds: int, batch: int, isolate: bool, overrides: Sequence[str], say: Say | None
) -> R:
    with ExitStack() as failed, holding(given), stored(given, isolate) as where:
        words = [
            "model=function", "task=labelled", "runtime=python", f"task.metric={given.metric}", *where, *device_words(given),
            "measurement.rule=rounds", f"measurement.min_rounds={rounds}", f"measurement.max_rounds={rounds}",
            f"measurement.batch={batch}", *([] if deadline is None else [f"analysis.primary='{bound_of(deadline)}'"]), *overrides,
        ]  # fmt: skip
        composed = compose_campaign(words, config_dirs=[CONF], quiet=True)
        [like] = composed.trials
        options = {name: {**like.model.options, "function": name} for name in given.functions}
        models = [like.model.model_copy(update={"name": name, "options": of}) for name, of in options.items()]
        composed = replace(composed, noted=tuple((like.model_copy(update={"model": model}), "") for model in models))
        folder = Path(mkdtemp(prefix=PREFIX))
        failed.callback(shutil.rmtree, folder, ignore_errors=True)
        with open_site(composed.campaign, composed.trials) as site:
            plan = plan_of(site, composed)
            # No words of a command line: none measures this again.
            record = record_of((), composed, plan).model_copy(update={"name": "python"})
            with CampaignWriter.create(folder / "campaign", record) as writer:
                _run(writer, plan, site, say)
        failed.pop_all()
    return kind(writer.directory, folder)


def _run(writer: CampaignWriter, plan: Plan, site: Site, say: Say | None) -> None:
    stop, analysis = threading.Event(), writer.record.config.analysis
    progress = Progress(len(plan.trials), None) if say is None else Announcing(plan.trials, say)
    with site.executor() as executor:
        try:
            run_trials(plan.trials, executor, writer, progress, stop, analysis.primary)
        except KeyboardInterrupt:
            stop.set()
            raise
    for planned in writer.record.trials:
        if planned.state != "done":
            faults = [fault.name for record in [writer.read_trial(planned.trial_id)] if record is not None for fault in record.faults]
            raise TrialFailed(f"{planned.trial.model.name} {planned.state}: {planned.reason}", faults[-1] if faults else "process failed")
    write_results(writer.directory, analyse(open_campaign(writer.directory), analysis, leave_out=True).tables, {})


@contextmanager
def stored(given: Held, isolate: bool) -> Iterator[list[str]]:
    """Yield the words that say where trials find what is measured: in this process, or in a file for processes of their own."""
    if not isolate:
        yield ["cluster=inline"]
        return
    from ray.cloudpickle import dumps

    with TemporaryDirectory(prefix=PREFIX) as folder:
        content = dumps(given)  # type: ignore[no-untyped-call]
        store = Path(folder, sha256(content).hexdigest())
        store.write_bytes(content)
        yield [f"system.paths={{model.store: {store}, task.store: {store}}}"]


def device_words(given: Held) -> list[str]:
    """Return the words for the GPU that PyTorch computes on, so that clocks wait for it; none without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return []
    on = {parameter.device for fn in given.functions.values() if isinstance(fn, torch.nn.Module) for parameter in fn.parameters()}
    number = next((device.index for device in on if device.type == "cuda"), None if on else torch.cuda.current_device())
    return [] if number is None else [f"system.device=cuda:{number}", "system.name=gpu"]
