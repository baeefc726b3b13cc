"""The plan, turns, visits and faults: the life of a trial."""
