"""The words of the page's glossary beside flags."""

from __future__ import annotations

WORDS = {
    "trial": "One model on one system with one runtime, measured over many rounds in a process of "
    "its own.",
    "round": "One pass over every sample of the task.",
    "deadline, threshold": "The time an answer may take. A later one counts as failed.",
    "tail quality": (
        "Quality of a round when late answers count as failed; of a trial the mean over its rounds."
    ),
    "ideal quality": "Quality without a deadline.",
    "95 % interval": "Where the mean of rounds to come lies, as far as the measured ones show.",
    "worst round": "The round that kept least.",
    "certified deadline": (
        "With the campaign's confidence enough rounds to come keep the promised quality within it."
    ),
    "observed deadline": "What was seen in this session; no promise for another one.",
    "total, inference": "From the sample's bytes to the answer as plain values, and the model "
    "call alone.",
    "response": "Under load: from a sample's scheduled arrival to its answer, waiting included.",
    "first_token, per_token": (
        "Of streamed answers: from the arrival (in a closed loop, the start) to the first "
        "token; between two."
    ),
    "tie": "Systems whose difference from the best is not shown.",
    "not shown, not tested": (
        "The data were asked and leave the difference open; nothing was measured that could tell."
    ),
    "fresh processes": (
        "The same trial started anew (repeats). Processes differ by more than the rounds of one "
        "show."
    ),
    "samples like these": "Other samples of the same kind; drawing samples anew tests it for two "
    "models.",
    "percentile": "p99 is the time that 99 % of inferences keep to.",
    "rJSD": "A distance between densities of times; small where more rounds no longer change them. "
    "It says nothing of the tail.",
    "flip": "Two systems change places in the ranking between two deadlines.",
}
