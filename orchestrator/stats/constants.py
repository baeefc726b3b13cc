"""Every constant of the estimators, with its source or the study that chose it.

The studies are tables in benchmarks/studies/results/, made by ``python benchmarks/studies/run.py``.
"""

# Of every interval that a report shows.
CONFIDENCE = 0.95
# Least degrees of freedom of the long-run variance (Lazarus, Lewis, Stock, Watson, JBES 36,
# 2018); study `coverage`.
COSINES = 4
# Degrees of freedom grow as this times V^(2/3), the rate of the same paper; study `coverage`.
COSINES_GROW = 0.4
# Degrees of freedom of a certificate, where the variance decides alone; study `certificates`.
COSINES_OF_CERTIFICATE = 3
# Power of the share beyond a time with which the design effect falls towards the largest times;
# study `percentiles`.
TAIL = 0.1
# Fewer units are one stretch: they say nothing about later rounds; study `coverage`.
FEWEST_UNITS = 12
# Fewer units are flagged: spells that were not met leave no dependence to see; study `coverage`.
FEW_UNITS = 20
# Fewer replicates, earlier campaigns or independent pairs say too little about how they differ.
FEWEST_REPEATS = 3
# Probability of finding the smallest change that counts as one that can be found (Cohen, 1988).
POWER = 0.8
# Rule `settled` looks whenever rounds have grown by this factor: each look may err; study
# `settled`.
LOOKS_GROW = 2.0
# A visit is a unit if what stands between it and the next lasts at least as long as it does
# (statistics.md, *unit*).
PAUSE = 1.0
# Measured, by the medians of a trial, a pause lasts at least this share of a visit: clocks and
# starts vary.
APART = 0.9
# Cycles that slow spells may last, where they make up a sixth of the time; studies `coverage` and
# `certificates`.
REACH_OF_INTERVAL, REACH_OF_CERTIFICATE = 1.25, 2.5
# From which on that holds: 60 rounds in visits of 2.
REACH_VISITS = 30
# Rounds that a certificate rests on unless the user says otherwise, fixed beforehand; study
# `certificates`.
CERTIFY_ROUNDS = 120
# Differences of quality below this are the rounding of sums, not losses.
ROUNDING = 1e-12
# Streams of a rate that is to be certified, their number fixed beforehand; study `capacity`.
STREAMS = 30
# Share of streams that must keep the quality at a certified rate; study `capacity`.
STREAMS_TO_KEEP = 0.8
# Rates to certify, in shares of the estimate, ascending: none follows one that failed; study
# `capacity`.
CERTIFIED_SHARES = (0.65, 0.72, 0.8, 0.88, 0.96)
# Streams of each of the pilot's rates that look for the crossing, and of those around it; study
# `capacity`.
PILOT_STREAMS, PILOT_STREAMS_AROUND = 2, 4
# First rates of the pilot, in shares of the closed loop's throughput; study `capacity`.
PILOT_SHARES = (0.2, 0.425, 0.65, 0.875, 1.1)
# Further rates of the pilot, in shares of what the first lead to; study `capacity`.
PILOT_AROUND = (0.8, 0.9, 1.0, 1.1, 1.2)
# The same above (times) or below (divided by) all rates so far, where the crossing lies there.
PILOT_BEYOND = (1.25, 1.6, 2.0, 2.5, 3.2)
# A pilot is over when so many of its rates lie within this ratio of the estimate; study
# `capacity`.
NEAR, ENOUGH_NEAR = 1.3, 4
# Rates of a pilot at most.
PILOT_MOST = 25
# Answers that a stream may lose: it is so long that it may lose 3, better 10; study `capacity`.
FEWEST_LOST, ADVISED_LOST = 3, 10
# A stream's ramp: so many deadlines of the closed loop's throughput, or this share of the stream;
# study `capacity`.
RAMP_DEADLINES, RAMP_OF_STREAM = 5, 0.05
# A plan is for a system that breaks a requirement this often, as a share of how often it may: at
# the bound itself no number of rounds shows anything.
MARGIN = 0.25
# With this probability such a system is found to meet the requirement at the planned size; study
# `requirements`.
POWER_PLANNED = 0.9
# A plan takes independent rounds to have this design effect: the larger of two estimates of it;
# study `requirements`.
DEFF_PLANNED = 1.5
# Values below this share of a required bound count as alike; study `requirements`.
WELL_WITHIN = 0.5
