"""How many trees may a forest have within 10 ms? ``python sklearn_on_a_table.py [ROUNDS]``."""

import sys

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import tail_quality as tq

flowers = load_iris()
rows, species = flowers.data[::2], flowers.target[::2]
forests = {f"trees_{trees}": RandomForestClassifier(trees, random_state=0).fit(rows, species).predict for trees in (20, 200)}
rounds = int(sys.argv[1]) if sys.argv[1:] else 60
print(tq.compare(forests, flowers.data[1::6], flowers.target[1::6], deadline="10 ms", rounds=rounds))
