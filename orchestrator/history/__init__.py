"""Many campaigns over time."""
