"""Measure functions, or a sweep, by the ordinary plan, visits and store."""

import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestrator.commands import measuring as command
from orchestrator.commands.planning import compose_campaign, open_site, plan_on
from orchestrator.commands.progress import Progress
from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError
from orchestrator.measurement.failures import TrialFailed
from orchestrator.report.text import seconds
from orchestrator.running.pipeline import own_rule, run_in_visits
from orchestrator.running.trial import TrialRun
from orchestrator.storage.files import write_results
from orchestrator.storage.handover import Prepared
from orchestrator.storage.records import PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from tail_quality.held import Held, holding, parts_of, rows_and_samples
from tail_quality.results import COMPARED, Result, ns_of


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
    say: Callable[[str], None] | None = command.tell,
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
    functions = {name or getattr(fn, "__name__", type(fn).__name__).strip("<_>"): fn}
    given = Held(functions, *rows_and_samples(inputs, labels), [metric], preprocess, postprocess, batch)
    return _measured("python", given, deadline, rounds, isolate, overrides, say)


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
    say: Callable[[str], None] | None = command.tell,
) -> Result:
    """Compare functions on the same inputs: their visits alternate, and each is held against the first.

    Parameters and errors are those of `measure`; ``functions`` are by name.
    """
    if len(functions) < 2:
        raise InputError(f"{len(functions)} functions: compare takes two or more by name; measure takes one", key="functions")
    given = Held(functions, *rows_and_samples(inputs, labels), [metric], preprocess, postprocess, batch)
    return _measured(COMPARED, given, deadline, rounds, isolate, overrides, say)


def run(*words: str, multirun: bool = False, config_dirs: Sequence[Path] = (), quiet: bool = False) -> Result:
    """Measure what the words of a command line describe, as the command does: ``run("+sweep=vision", 'analysis.primary="50 ms"')``.

    ``multirun`` is ``-m``: several values of a key make several trials. Results and report lie where the command would put them, and the
    answer is printed; ``quiet`` leaves out how far it is.
    """
    composed = compose_campaign(words, multirun, config_dirs, quiet=quiet)
    with open_site(composed.campaign, composed.trials) as site:
        plan = plan_on(site, composed)
        if plan.infeasible:
            raise InputError(f"{plan.infeasible[0].trial_id} cannot run here: {plan.infeasible[0].reason}; change the plan", "unsupported")
        with command.begun(command.record_of(words, composed, plan), trust=False) as writer:
            command.measure(writer, plan.trials, site, quiet, full=False)
    return Result(writer.directory)


def load_config(*words: str, multirun: bool = False, config_dirs: Sequence[Path] = ()) -> list[Trial]:
    """Return the trials that the words of a command line describe, composed and checked. Nothing is looked at or measured."""
    return compose_campaign(words, multirun, config_dirs, quiet=True).trials


class Announcing(Progress):
    """Says for whom the trials wait and, when they are warm, how long their rounds take."""

    def __init__(self, trials: int, say: Callable[[str], None] | None) -> None:
        super().__init__(trials, None)
        self._tell, self._rounds_s = say, list[float]()
        self._wait_told = True  # by this class alone

    def turn_awaited(self, planned: PlannedTrial, holder: str) -> None:
        if self._tell is not None and not self._waits:
            self._tell(f"waits: {holder} measures on this machine")
        super().turn_awaited(planned, holder)

    def trial_prepared(self, planned: PlannedTrial, prepared: Prepared) -> None:
        measurement = planned.trial.measurement
        self._rounds_s.append(prepared.cold_start["warmup_rounds_ns"][-1] / 1e9)
        if self._tell is not None and len(self._rounds_s) == self._trials:
            cycle_s = max(sum(self._rounds_s), (1 + measurement.pause) * max(self._rounds_s))
            rounds = f"{measurement.max_rounds} rounds{f' of each of {self._trials}' if self._trials > 1 else ''}"
            self._tell(f"{rounds}, in visits with pauses: about {seconds(measurement.max_rounds * cycle_s)}")


def _measured(
    name: str, given: Held, deadline: str | None, rounds: int, isolate: bool, overrides: Sequence[str], say: Callable[[str], None] | None
) -> Result:
    words = [
        "model=function", "model.name=" + ",".join(f"'{function}'" for function in given.functions), "task=labelled",
        "runtime=python", *device_words(given), *([] if isolate else ["cluster=inline"]),
        f"measurement.batch={1 if given.batch is None else given.batch}",
        "measurement.rule=rounds", f"measurement.min_rounds={rounds}", f"measurement.max_rounds={rounds}",
        *([] if deadline is None else [f"analysis.primary='{ns_of(deadline) / 1e6:.12g} ms'"]), *overrides,
    ]  # fmt: skip
    composed = compose_campaign(words, True, [Path(__file__).parent / "conf"], quiet=True)
    stop, clock, primary = threading.Event(), time.monotonic_ns, composed.campaign.analysis.primary
    with ExitStack() as made:
        folder = Path(made.enter_context(TemporaryDirectory(prefix="tail-quality-", ignore_cleanup_errors=True)), "campaign")
        with holding(given, open_site(composed.campaign, composed.trials), shared=isolate) as site:
            plan = plan_on(site, composed)
            if plan.infeasible:
                raise InputError(plan.infeasible[0].reason or "cannot run here", "unsupported")
            # No words of a command line: none measures this again.
            record = command.record_of((), composed, plan).model_copy(update={"name": name})
            with CampaignWriter.create(folder, record) as writer, site.executor() as executor:
                observer = Announcing(len(plan.trials), say)
                runs = [
                    TrialRun(
                        one, partial(own_rule, one, primary), executor, writer, observer, stop, clock, among_others=len(plan.trials) > 1
                    )
                    for one in plan.trials
                ]
                # In the calling thread: a function may use what belongs to it, as a connection of SQLite does.
                run_in_visits(runs, stop, str(record.created_at), clock)
        for planned in writer.record.trials:
            if planned.state != "done":
                raise TrialFailed(f"{planned.trial.model.name} {planned.state}: {planned.reason}", "process failed")
        result = Result(folder)
        write_results(folder, result.analysed.tables, {})
        weakref.finalize(result, made.pop_all().close)
    return result


def device_words(given: Held) -> list[str]:
    """Return the words for the GPU that PyTorch computes on, so that clocks wait for it; none without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return []
    on = {parameter.device for fn in given.functions.values() for part in parts_of(fn) for parameter in part.parameters(recurse=False)}
    number = next((device.index for device in on if device.type == "cuda"), None if on else torch.cuda.current_device())
    return [] if number is None else [f"system.device=cuda:{number}", "system.name=gpu"]
