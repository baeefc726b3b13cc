"""Is a machine fit for timing? Readings of one machine, and pure functions that judge them."""
