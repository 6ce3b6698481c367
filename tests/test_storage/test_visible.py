"""Text as it is shown: what could act on a terminal is seen, what people write stays."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.words.visible import json_text, plain_markdown, visible, visible_line

SHOWN = {
    "title of a terminal": ("a\x1b]0;b\x1b\\", r"a\x1b]0;b\x1b\\"[:-1]),
    "C1": ("a\x9b31m\x85", r"a\x9b31m\x85"),
    "bell, NUL, DEL": ("\a\0\x7f", r"\x07\x00\x7f"),
    "carriage return": ("good\rbad", r"good\rbad"),
    "right to left": ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
    "zero width": ("pay\u200bpal\ufeff\u00ad", r"pay\u200bpal\ufeff\xad"),
    "separators": ("a\u2028b\u2029", r"a\u2028b\u2029"),
    "surrogate": ("\udcff", r"\udcff"),
    "tags that hide a message": ("a\U000e0041\U000e0042", r"a\U000e0041\U000e0042"),
    "selectors that hide a message": ("a\ufe00\ufe01", "a\ufe00" + r"\ufe01"),
    "joiner in a Latin word": ("a\u200db", r"a\u200db"),
    "blank letter": ("\u3164", r"\u3164"),
}
KEPT = [
    *("naïve", "e\u0301", "שלום", "العربية", "日本語", "葛\U000e0100", "می\u200cخواهم"),
    *("क्\u200dष", "👨\u200d👩\u200d👧", "❤\ufe0f\u200d🔥", "1\ufe0f\u20e3"),
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    r"C:\x1b\names [red]:smile:[/]",
]


@pytest.mark.parametrize(("text", "wanted"), SHOWN.values(), ids=SHOWN.keys())
def test_what_acts_or_hides_is_shown(text: str, wanted: str) -> None:
    assert visible(text) == visible_line(text) == wanted


@pytest.mark.parametrize("text", KEPT)
def test_what_people_write_stays(text: str) -> None:
    assert visible_line(text) == text


def test_a_line_stays_one_and_a_text_keeps_its_lines() -> None:
    assert visible_line("a\n\tb") == r"a\n\tb"
    assert visible("a\n\tb") == "a\n\tb"


def test_no_control_or_format_character_is_forgotten() -> None:
    """But those of Arabic and Syriac, and Kaithi, that are drawn: they enclose numbers."""
    kept = {
        chr(point)
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and visible_line(chr(point)) == chr(point)
    }
    assert kept == set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2") | {
        "\U000110bd",
        "\U000110cd",
    }


@given(st.text(), st.booleans())
def test_json_is_exact_and_cannot_act(text: str, only_ascii: bool) -> None:
    written = json_text({text: [text]}, only_ascii=only_ascii)
    assert json.loads(written) == {text: [text]}
    assert "\x7f" not in written
    assert written.splitlines() == [written]
    assert written.isascii() or not only_ascii
    assert not any(unicodedata.category(it) in ("Cc", "Zl", "Zp") for it in written)


def test_markdown_shows_names_and_nothing_else() -> None:
    hostile = "![x](http://evil) <img src=x> `a` **b** a|b\n# c"
    assert plain_markdown(hostile) == (
        r"!\[x\](http://evil) &lt;img src=x> \`a\` \*\*b\*\* a\|b\\n# c".replace("\\\\n", "\\\\n")
    )


@pytest.mark.parametrize("sign", ["#", ">", "-", "+", "=", "1.", "2)"])
def test_markdown_has_no_headings_lists_and_quotations(sign: str) -> None:
    assert plain_markdown(f"{sign} a") == f"{sign[:-1]}\\{sign[-1]} a"
