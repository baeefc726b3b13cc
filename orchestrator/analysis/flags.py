"""The flags of figures: what each means, and what to do about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from orchestrator.stats.constants import FEW_UNITS, FEWEST_UNITS


@dataclass(frozen=True)
class Flag:
    """A flag by its name, which is what stands in tables less the detail: numbers and brackets.

    remedy
        clauses with ``; `` between them; one whose settings a trial has already is left out.
    of_imported
        the remedy where another program measured: nothing here can go on with its trials.
    """

    name: str
    meaning: str
    remedy: str = ""
    of_imported: str = ""


UNSTEADY = "unsteady"
IMPORTED = "imported"
STARVED = "starved neighbour"
CACHED, CACHE_UNKNOWN = "cached prompts", "prompt cache unknown"
_OTHER_SPEED = "run `doctor` (heat, clock rate, other programs), then measure again"
_NOT_DONE = "the trial is not done; its figures cover the rounds so far"
_INCOMPLETE = (
    "rounds ended early, and their missing samples count as late",
    "the table of faults names the samples",
)
_PLACED = (
    "the model or another program changed the process while it measured",
    "find what changes it; measure again",
)
# Every flag, by name.
FLAGS = {
    flag.name: flag
    for flag in (
        Flag(
            UNSTEADY,
            "the interval is wider than a tenth of ideal quality: rounds differ much",
            "`explain` shows what moves with slow rounds; more rounds, or repeats, narrow the "
            "interval",
            "import a longer run of the program that measured",
        ),
        Flag(
            "one stretch",
            f"fewer than {FEWEST_UNITS} visits lie apart: the interval describes this period and "
            "says nothing about later rounds",
            "measure visits that lie apart: measurement.schedule=visits, measurement.pause=1, "
            f"measurement.min_rounds={2 * FEWEST_UNITS}",
            "import repeats of the run on other days",
        ),
        Flag(
            "few units",
            f"fewer than {FEW_UNITS} visits or streams may have missed slow spells",
            f"measure more visits, with measurement.min_rounds={2 * FEW_UNITS}",
            "import a longer run of the program that measured",
        ),
        Flag(
            "in-sample",
            "the deadline is a percentile of this system's own times, which fixes the share of "
            "late answers; its interval is too wide",
            "set a deadline in ms with analysis.primary",
        ),
        Flag(
            "schedule not kept",
            "samples started late although the server was idle, or not at the schedule's rate",
            "load.idle=spin; quieten the machine",
            "import a run on a quieter machine",
        ),
        Flag(
            "overloaded",
            "samples arrive faster than they are answered, so figures depend on the "
            "length of a stream: a finding, not a fault",
            "lower load.rate_per_s",
            "import a run at a lower rate",
        ),
        Flag(
            "few streams",
            f"the rounds of a stream share a queue, and fewer than {FEWEST_UNITS} streams make "
            "intervals too narrow",
            f"measure {FEWEST_UNITS} streams or more",
            "import repeats of the run, which count as fresh processes",
        ),
        Flag(
            "fewer than 20 rounds: nothing can be named",
            "evidence that moves with slow rounds cannot be distinguished from chance",
            "measure more rounds",
        ),
        Flag(
            "few samples",
            "the group of a slice is small: its figure describes these samples alone",
            "add samples to the task",
        ),
        Flag(
            IMPORTED,
            "another program measured it; its cores, threads and neighbours are unknown, and no "
            "deadline is certified",
        ),
        Flag(
            "no quality",
            "nothing judges the answers: on_time is the share of answers in time, right or wrong",
            of_imported="import scores",
        ),
        Flag(
            "rounds by time",
            "the file holds no rounds: its requests, in order of time, were divided into "
            "rounds of equal size",
        ),
        Flag(
            "one round",
            "the file does not say which requests form a round, so the variation between "
            "rounds is unknown",
        ),
        Flag(
            "unpinned",
            "threads could run on other cores, too: cluster=inline pins nothing and starts no "
            "fresh process (isolation: none)",
            "leave out cluster=inline (in Python: isolate=True); ask for fewer system.cores",
        ),
        Flag(
            "machine shared with other trials",
            "other trials ran at the same time, so times may be longer",
            "measure with system.exclusive=true",
        ),
        Flag(
            "machine slower at the end",
            "a fixed piece of work took longer after the rounds than before",
            _OTHER_SPEED,
        ),
        Flag(
            "machine faster at the end",
            "a fixed piece of work took less time after the rounds than before",
            _OTHER_SPEED,
        ),
        Flag(
            "other users not excluded",
            "campaigns of other users could run on the machine at the same time",
            "ask who else used it",
        ),
        Flag(
            "judged otherwise than when measured",
            "another version of this program measured it, and its metric scored these "
            "answers differently; figures use today's metric",
            "measure again to compare with new figures",
        ),
        Flag(
            "clock set back",
            "the time of day was set while the trial ran; timings come from a steady clock",
        ),
        Flag("running", _NOT_DONE),
        Flag("interrupted", _NOT_DONE, "go on with `resume`"),
        Flag("failed", _NOT_DONE, "repair what the error names; `resume --retry-failed`"),
        Flag("incomplete round", *_INCOMPLETE),
        Flag("incomplete rounds", *_INCOMPLETE),
        Flag(
            "not certified",
            "fewer than 10 independent inferences lie beyond the percentile, or its interval has "
            "no upper limit",
            "more rounds; a lower percentile",
        ),
        Flag(
            "no answer is right even without a threshold",
            "ideal quality is 0: task and model probably do not match",
            "check labels and weights",
        ),
        Flag(
            "boxes fit but their categories are not the references': class numbers in place of "
            "category ids?",
            "boxes are right, but their categories are wrong",
            "map class numbers to category ids in `postprocess`",
        ),
        Flag(
            CACHED,
            "rounds ask the same prompts again, and the server had the share in brackets of their "
            "tokens in a cache: answers to new prompts take longer",
            "model.request.cache=salted; switch the server's cache of prompts off",
        ),
        Flag(
            CACHE_UNKNOWN,
            "the server may answer prompts that come again from a cache, and does not say so",
            "model.request.cache=salted; switch the server's cache of prompts off",
        ),
        Flag(
            STARVED,
            "the neighbour got less than half of the processor time that it could have had, so it "
            "may cost more than these figures say",
            "see what else ran on its cores; give it others with neighbour.cores",
        ),
        Flag(
            "answers change",
            "rounds gave different answers to the same sample",
            "runtime.deterministic=true",
        ),
        Flag(
            "a later process answers samples otherwise",
            "a fresh process of the trial gave other answers",
            "runtime.deterministic=true",
        ),
        Flag(
            "a later process has another placement",
            "after a fault or a pause the process ran elsewhere",
            "measure it in one session",
        ),
        Flag("niceness at first and at the end", *_PLACED),
        Flag("scheduling policy at first and at the end", *_PLACED),
        Flag("the thread that measures may use cores at first and at the end", *_PLACED),
        Flag(
            "answers beyond tolerance of eager PyTorch's",
            "the runtime computes other values than PyTorch in fp32",
        ),
        Flag(
            "changes accepted",
            "code, data or host changed after the start, which a user accepted",
            "measure anew before you publish",
        ),
        Flag(
            "torn pair",
            "the sides of a pair were not measured next to each other",
            "measure more pairs",
        ),
        Flag(
            "load differs",
            "other work differed between the sides of a comparison",
            "measure in pairs, on a quiet machine",
        ),
    )
}
DETAIL = re.compile(r" \(.*\)$|(?<![\w.-])-?\d+ |\[[^\]]*\] |SCHED_\w+ ")
SETTING = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)=(\w+)")


def flag_of(told: str) -> Flag:
    """Return the flag that stands in a table, with or without a detail; else one without words."""
    name = told if told in FLAGS else DETAIL.sub("", told)
    return FLAGS.get(name, Flag(name, "a remark of the measurement"))


def remedies(flag: Flag, trials: Sequence[Any], imported: bool = False) -> list[str]:
    """Return the clauses of a remedy whose settings some of these trials (`Trial`) have not."""
    told = flag.of_imported if imported and flag.of_imported else flag.remedy
    return [clause for clause in told.split("; ") if clause and missing(clause, trials) != []]


def missing(clause: str, trials: Sequence[Any]) -> list[str] | None:
    """Return the settings of a clause that some trials have not; None where it names none."""
    found = SETTING.findall(clause)
    if not found:
        return None
    # More rounds at least than there may be at most are refused.
    found += [
        ("measurement.max_rounds", most) for key, most in found if key.endswith(".min_rounds")
    ]
    return [
        f"{key}={wanted}"
        for key, wanted in found
        if not trials or not all(_has(one, key, wanted) for one in trials)
    ]


def _has(trial: Any, key: str, wanted: str) -> bool:
    found = reduce(lambda one, name: getattr(one, name, None), key.split("."), trial)
    if wanted.isdigit() and isinstance(found, int | float):
        return found >= int(wanted)
    return str(found).lower() == wanted
