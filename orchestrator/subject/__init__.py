"""Model and task before they are timed."""
