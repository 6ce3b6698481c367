"""Names of a graph's properties and labels in Neo4j, each its own, whatever a dataset calls them.

Neo4j's importer splits a column's name at a colon and a list at its delimiter, and has no escape
for either. So a property's name is made of letters, digits and `_`; a label keeps all but what
splits a list, control characters and line breaks.
Source: Neo4j's operations manual, "CSV header format".
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count

DELIMITERS = ";|"
"""What may separate the elements of a list: no label holds them."""

_NO_WORD = re.compile(r"\W+")
_NO_LABEL = re.compile(rf"[{DELIMITERS}\x00-\x1f\x7f-\x9f\u2028\u2029\ue000-\uf8ff]+")


def property_name(text: str) -> str:
    """Return a name of letters, digits and `_` that needs no quotes in Cypher."""
    name = _NO_WORD.sub("_", text).strip("_")
    return name if name and not name[0].isdigit() else f"_{name}"


def label(text: str) -> str:
    """Return a kind as a label; with other characters than letters it needs backticks in Cypher."""
    return _NO_LABEL.sub("_", text).strip() or "_"


def distinct_names(
    texts: Sequence[str], to_name: Callable[[str], str], taken: Iterable[str] = ()
) -> list[str]:
    """Return a name for each text, no two of them alike: those that clash get a number.

    Args:
        texts: The texts. One that is a name already stays as it is; of equal ones the first does.
        to_name: Makes a name of a text.
        taken: Names that none may have.
    """
    used, found = set(taken), [""] * len(texts)
    for row in sorted(range(len(texts)), key=lambda row: to_name(texts[row]) != texts[row]):
        wanted = to_name(texts[row])
        numbered = (f"{wanted}_{number}" for number in count(2))
        found[row] = next(name for name in chain([wanted], numbered) if name not in used)
        used.add(found[row])
    return found
