"""What the public program of the paper does, its faults as they are: the one place that speaks of it.

The paper is "Quality at the Tail of Machine Learning Inference", Yang et al., arXiv 2212.13925v3; its program is
github.com/Jason-Young-AI/Tail-Quality at commit cfcf8c8 (Apache-2.0), re-implemented here from what it does, with none of its text. Times
are in seconds here, as in the program, because its figures depend on the unit.

- `densities`: KDEpy's bandwidth, scikit-learn's density, SciPy's distance, and the program's rJSD.
- `loop`: when the scripts of 2024 fit, compare and stop.
- `evaluation`: tail latency and tail quality of 2024.
- `per_record`: each record's density, least rounds, and the prediction check of 2023.
- `plots`: the figures of 2023's quality curves and of its regression on input size.
- `run_order`: the order in which files are read.
"""
