"""What the public program of the paper does, its faults as they are.

Yang et al., "Quality at the Tail of Machine Learning Inference", arXiv 2212.13925v3; github.com/Jason-Young-AI/Tail-Quality,
commit cfcf8c8 (Apache-2.0), re-implemented from what it does, with none of its text. Times are in seconds, as in the program,
because its figures depend on the unit. Its densities and its loop are `stats.paper_densities` and `stats.paper_loop`, which the
stopping rule ``paper`` runs.

- `course`: what that loop sees of stored rounds, and where it stops.
- `evaluation`: tail latency and tail quality of 2024.
- `faults`: what each fault does to given times.
- `per_record`: each record's density, least rounds, and the prediction check of 2023.
- `plots`: the figures of 2023's quality curves and of its regression on input size.
- `run_order`: the order in which files are read.
"""
