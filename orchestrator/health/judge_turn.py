"""Would a campaign have the machine to itself? (pure)."""

from __future__ import annotations

from orchestrator.health.finding import Finding, Grade, told
from orchestrator.measurement.turn import TurnState

REMEDY = "have the administrator make a folder with `install -d -m 1777 FOLDER`, and name it in ORCHESTRATOR_LOCK_DIR"


def judge_turn(host: str, turn: TurnState) -> Finding:
    """The turn keeps campaigns from measuring at the same time: those of one user, or those of all."""
    among = "among all users" if turn.every_user else "among this user's campaigns"
    grade: Grade = "good" if turn.every_user else "doubtful"
    seen = f"taken {among}, in {turn.folder}; {f'{turn.holder} measures now' if turn.holder else 'nobody has it'}"
    remedy = REMEDY
    if turn.problem is not None:
        grade, seen, remedy = "bad", turn.problem, "no campaign can measure here"
    elif turn.holder is not None:
        grade, remedy = "doubtful", "a campaign waits until it ends"
    return told(host, "turn", grade, seen, "campaigns of all users take turns, and nobody has it (bad: it cannot be taken)", remedy)
