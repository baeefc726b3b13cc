"""Is a requirement met, and if not, what is missing? ``python a_requirement.py [ROUNDS]``."""

import sys

import tail_quality as tq

words = ["level", "python", "noon", "radar"]
palindromes = [True, False, True, True]
rounds = int(sys.argv[1]) if sys.argv[1:] else 120
result = tq.measure(lambda word: word == word[::-1], words, palindromes, deadline="0.02 ms", rounds=rounds, name="palindrome")
verdict = result.verdict("0.02 ms", at_least=0.95)
print(f"{verdict.outcome}: {verdict.why}")
if verdict.more_rounds:
    print(f"{verdict.more_rounds} more rounds may show it")
