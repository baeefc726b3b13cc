"""Everything that knows Hydra, and what a trial is."""
