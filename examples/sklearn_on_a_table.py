"""A random forest on a table of flowers: which batch keeps its accuracy within 10 ms? ``python sklearn_on_a_table.py [ROUNDS]``."""

import sys

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import tail_quality as tq

rounds = int(sys.argv[1]) if sys.argv[1:] else 60
flowers = load_iris()
forest = RandomForestClassifier(20, random_state=0).fit(flowers.data[::2], flowers.target[::2])
for batch in (1, 25):
    result = tq.measure(forest, flowers.data[1::2], flowers.target[1::2], deadline="10 ms", rounds=rounds, batch=batch)
    low, high = result.quality_interval("10 ms")
    print(f"batch {batch}: accuracy within 10 ms {result.quality('10 ms'):.3f} [{low:.3f}, {high:.3f}]")
