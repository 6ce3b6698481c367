"""Texts that look the same: which they are, and what is said of them."""

import time

import pytest

from storage.words.lookalike import difference, find_lookalike, look_of, lookalikes
from storage.words.suggestion import did_you_mean

ALIKE = {
    "composed or not": ("café", "cafe\u0301", "U+00E9 against U+0065 U+0301"),
    "space at the end": ("likes", "likes ", "nothing against U+0020"),
    "no-break space": ("a b", "a\u00a0b", "U+0020 against U+00A0"),
    "two spaces": ("a b", "a  b", "nothing against U+0020"),
    "zero width": ("ab", "a\u200bb", "nothing against U+200B"),
    "full width": ("AB", "ＡB", "U+0041 against U+FF21"),
    "order of marks": ("a\u0323\u0301", "a\u0301\u0323", "U+0061 U+0323 U+0301 against"),
    "ohm": ("Ω", "\u2126", "U+03A9 against U+2126"),
    "control character": ("ab", "a\x7fb", "nothing against U+007F"),
}


@pytest.mark.parametrize(("one", "other", "wanted"), ALIKE.values(), ids=ALIKE.keys())
def test_what_looks_alike_is_found_and_told_apart(one: str, other: str, wanted: str) -> None:
    assert look_of(one) == look_of(other)
    assert lookalikes(["x", other, "y", one]) == [(other, one)]
    assert find_lookalike(one, ["x", one, other]) == other
    assert wanted in difference(one, other)
    assert difference(one, other) in did_you_mean(one, ["x", other])


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("x2", "x²"), ("a", "а"), ("ab", "a b")])
def test_case_raised_digits_other_scripts_and_words_are_not_alike(one: str, other: str) -> None:
    assert lookalikes([one, other]) == []


def test_a_group_holds_each_text_once() -> None:
    texts = ["é", "e\u0301", " é", "é", "z"]
    assert lookalikes(texts) == [("é", "e\u0301", " é")]


@pytest.mark.timeout(60)
def test_marks_and_lengths_without_end_take_no_time() -> None:
    texts = [f"e{mark * 500_000}" for mark in ("\u0301", "\u0327\u0301")]
    assert lookalikes(texts) == []
    assert did_you_mean("x" * 1_000_000, [*texts, "x" * 999_999]) == ""
    assert did_you_mean("cta", [*texts, "cat"]) == " (did you mean 'cat'?)"


def test_a_million_ids_take_seconds() -> None:
    ids = [f"http://dbpedia.org/resource/{'É' * (i % 2)}Entity_{i}" for i in range(300_000)]
    start = time.process_time()
    assert lookalikes(ids) == []
    assert time.process_time() - start < 5
