"""The corpus's texts and numbers."""

import math

from corpus import Case, Encoded, Failed, Missing, Outcome

_LONGEST_CHARACTERS = 20_000
_SENTENCE = "The quick brown fox, naïve as ever, jumps over the café's lazy dog. "


def text(name: str, value: object, outcome: Outcome) -> Case:
    return Case(name, outcome, content=value)


NO_WORD = Failed("holds no word: only spaces and punctuation")
LIKE_PLAIN = Encoded("plain")
FIVE_MEGABYTES = _SENTENCE * (5 * 2**20 // len(_SENTENCE))

TEXTS = [
    text("plain", _SENTENCE, Encoded()),
    text("empty", "", Missing()),
    text("null", None, Missing()),
    text("empty list", [], Missing()),
    text("only white space", " \t\n\u00a0\u3000", Missing()),
    text("empty ones among others", ["", _SENTENCE, "  "], LIKE_PLAIN),
    text("only punctuation", "...!?", NO_WORD),
    text("only zero-width spaces", "\u200b\u200b", NO_WORD),
    text("only a byte order mark", "\ufeff", NO_WORD),
    text("only control characters", "\x00\x01\x1f\x7f\x9f", NO_WORD),
    text("byte order mark before it", f"\ufeff{_SENTENCE}", LIKE_PLAIN),
    text("soft hyphens", _SENTENCE.replace("brown", "bro\u00adwn"), LIKE_PLAIN),
    text("control characters", _SENTENCE.replace(" ", "\x00 \x7f"), LIKE_PLAIN),
    text(
        "decomposed accents", _SENTENCE.replace("é", "e\u0301").replace("ï", "i\u0308"), LIKE_PLAIN
    ),
    text("upper case", _SENTENCE.upper(), LIKE_PLAIN),
    text("full width", _SENTENCE.replace("fox", "ｆｏｘ"), LIKE_PLAIN),
    text("line breaks", _SENTENCE.replace(" ", "\r\n"), LIKE_PLAIN),
    text("5 MB", FIVE_MEGABYTES, Encoded("5 MB's beginning")),
    text("5 MB's beginning", FIVE_MEGABYTES[:_LONGEST_CHARACTERS], Encoded()),
    text("5 MB in one word", "x" * (5 * 2**20), Encoded()),
    text("bytes that were no UTF-8, replaced", "caf\ufffd", Encoded()),
    text("emoji", "👩‍👩‍👧 🦊", Encoded()),
    text("right to left", "שלום \u202eעולם\u202c", Encoded()),
    text("marks on marks", "z" + "\u0335\u0321" * 500, Encoded()),
    text("markup", "<p>fox</p>", Encoded()),
    text("one letter", "x", Encoded()),
]


def numbers(name: str, value: object, outcome: Outcome) -> Case:
    return Case(name, outcome, content=value)


def refused(found: str) -> Failed:
    return Failed(
        rf"attribute 'height': found {found}; allowed: a finite number within .*, or null"
    )


NUMBERS = [
    numbers("plain", {"height": 1.5, "year": 1999}, Encoded()),
    numbers("other order", {"year": 1999, "height": 1.5}, Encoded("plain")),
    numbers("whole number as float", {"year": 1999.0, "height": 1.5}, Encoded("plain")),
    numbers("without height", {"year": 1999}, Encoded()),
    numbers("null", {"height": None, "year": 1999}, Encoded("without height")),
    numbers("only null", {"height": None}, Encoded()),
    numbers("zero", {"height": 0}, Encoded()),
    numbers("negative zero", {"height": -0.0}, Encoded("zero")),
    numbers("subnormal", {"height": 1e-320}, Encoded("zero")),
    numbers("largest", {"height": 3.4e38}, Encoded()),
    numbers("no numbers", {}, Missing()),
    numbers("nothing", None, Missing()),
    numbers("nan", {"height": math.nan}, refused("nan")),
    numbers("infinity", {"height": math.inf, "year": 1999}, refused("inf")),
    numbers("minus infinity", {"height": -math.inf}, refused("-inf")),
    numbers("beyond float32", {"height": 1e39}, refused(r"1e\+39")),
    numbers("of 4000 digits", {"height": 10**3999}, refused("10{59}")),
    numbers("string", {"height": "tall"}, refused("'tall'")),
    numbers("number in a string", {"height": "1.5"}, refused("'1.5'")),
    numbers("empty string", {"height": ""}, refused("''")),
    numbers("truth", {"height": True}, refused("True")),
    numbers("list", {"height": [1.5]}, refused(r"\[1.5\]")),
    numbers("object", {"height": {"cm": 150}}, refused(r"\{'cm': 150\}")),
    numbers("attribute without a name", {"": 1}, Encoded()),
]
