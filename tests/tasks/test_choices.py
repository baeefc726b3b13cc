"""Which choice an answer in words names: whole answers, sentences, and doubt, of which nothing is made."""

import pytest

from tasks.choices import Choices

LETTERS = Choices(["A", "B", "C", "D"])
REVIEWS = Choices(["rotten", "fresh"])
CITIES = Choices(["York", "New York", "C++", "C"])
CASES = Choices(["up", "Up"])


@pytest.mark.parametrize(
    "text",
    [
        "B", "b", "(B)", "(b).", " B.\n", "**B**", "`B`", "“B”", "B,", "B)", "[B]",
        "B) Paris", "(B) Paris", "B. Paris", "B: Paris", "**B.** Paris", "**B**: Paris", "B\nBecause it is.", "Let us see.\n\nB) Paris",
        "The answer is B.", "The correct answer is: **B**", "Answer: B", "answer = (B)", "The right choice is the letter B",
        "The correct option is B, since A is wrong.", "A good answer is B", "The answer is option B: Paris, not A.", "The answer should be B",
        "The answer is not A. The answer is B.", "The answer is B. A and C are wrong.", "The answer is:\n\n(B) Paris", "Answer is: B",
        "I choose B", "Option B is correct.", "It's B!", "A cat knows that it is B", "B-flat", r"\boxed{B}", "answer B",
    ],
)  # fmt: skip
def test_an_answer_names_b(text: str) -> None:
    assert LETTERS.named(text) == "B"


@pytest.mark.parametrize(
    "text",
    [
        "", "Paris", "E", "AB", "none", "b or so", "A cat sat on a mat", "Plan B's good", "don't know",
        "B or C", "A B", "A, B, C, D", "Both A and B", "Either B, C", "The answer is B or C", "The answer is B, C and D", "The answer is B/C",
        "The answer is A and B", "The answer is B. The answer is C.", "A. Paris\nB. London", "A) Paris\nThe answer is B",
        "The answer is not B", "It is not B", "B is wrong", "B isn't it", "B, not C", "I don't think the answer is B", "Never B", "Anything but not B",
        "The answer is A cat", "Neither A nor B", "Which is it: A, B, C or D? B.",
    ],
)  # fmt: skip
def test_of_doubt_nothing_is_made(text: str) -> None:
    assert LETTERS.named(text) is None


@pytest.mark.parametrize(
    ("choices", "text", "named"),
    [
        (REVIEWS, "fresh", "fresh"),
        (REVIEWS, "Fresh.", "fresh"),
        (REVIEWS, "The review is FRESH!", "fresh"),
        (REVIEWS, "Label: Fresh", "fresh"),
        (REVIEWS, "rotten: a refreshing bore", "rotten"),
        (REVIEWS, "freshly rotten", "rotten"),
        (REVIEWS, "not fresh", None),
        (REVIEWS, "fresh, not rotten", None),
        (REVIEWS, "fresh and rotten", None),
        (REVIEWS, "refreshing", None),
        (CITIES, "It is New York", "New York"),
        (CITIES, "It is York", "York"),
        (CITIES, "It is C++", "C++"),
        (CITIES, "It is C", "C"),
        (CASES, "up", "up"),
        (CASES, "It is Up.", "Up"),
        (CASES, "It is UP", None),
    ],
)
def test_words_count_in_any_case_unless_it_tells_two_apart(choices: Choices, text: str, named: str | None) -> None:
    """The longest choice is found, and signs are no patterns."""
    assert choices.named(text) == named
