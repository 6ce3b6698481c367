"""Ids as IRIs, each id its own.

An id that is an absolute IRI, bare as `http://dbpedia.org/resource/X` or as N-Triples has it,
`<http://dbpedia.org/resource/X>`, is that IRI. One with characters that no IRI has, such as spaces
and quotes, is the IRI with these percent-encoded. All others, and those of two ids that would be
one IRI, are `urn:mocme:<kind>:<id>`, the id percent-encoded.
Source: RFC 3987, section 2.2.
"""

import re
from collections.abc import Set
from urllib.parse import quote

from storage.words.visible import visible_line

VOCABULARY = "urn:mocme:"

_UCSCHAR = "\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(
    f"{chr(plane << 16)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 15)
)
_UNRESERVED = rf"A-Za-z0-9._~{_UCSCHAR}-"
_ENCODED = "%[0-9A-Fa-f]{2}"
_PATH = rf"(?:[{_UNRESERVED}!$&'()*+,;=:@/]|{_ENCODED})*"
_NAME = rf"[{_UNRESERVED}!$&'()*+,;=]|{_ENCODED}"
_HOST = rf"(?:(?:{_NAME}|:)*@)?(?:(?:{_NAME})+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_REST = rf"(?:\?(?:{_PATH[:-1]}|\?)*)?(?:#(?:{_PATH[:-1]}|\?)*)?"
_IRI = re.compile(rf"{_SCHEME}(?://(?:{_HOST}(?:/{_PATH})?|/{_PATH})|(?!//)(?=.){_PATH}){_REST}")
# A bare word with a colon may be a name (`film:title`); these are not.
_BARE = re.compile(rf"(?:{_SCHEME}//|urn:|tag:|mailto:|doi:|info:)", re.IGNORECASE)
_ALLOWED_AT_ALL = re.compile(rf"[{_UNRESERVED}!$&'()*+,;=:@/?]")


def iri(kind: str, name: str, ids: Set[str] = frozenset()) -> str:
    """Return an id as an IRI in angle brackets.

    Args:
        kind: `entity`, `relation` or `weight`.
        name: The id.
        ids: All ids of that kind, whose IRIs must differ.
    """
    found = _own_iri(name)
    if found is None or (found != name and not _is_alone(name, found, ids)):
        return f"<{VOCABULARY}{kind}:{quote(name, safe='', errors='surrogatepass')}>"
    return f"<{found}>"


def _own_iri(name: str) -> str | None:
    """Return the IRI that an id is, if it is one."""
    bracketed = name.startswith("<") and name.endswith(">")
    bare = name[1:-1] if bracketed else name
    if not (_BARE.match(bare) or (bracketed and re.match(_SCHEME, bare))):
        return None
    if bare.lower().startswith(VOCABULARY):
        return None  # what others' ids become
    encoded = bare if _is_valid(bare) else _encoded(bare)
    return encoded if encoded is not None and _is_valid(encoded) else None


def _is_valid(text: str) -> bool:
    return _IRI.fullmatch(text) is not None and visible_line(text) == text


def _encoded(text: str) -> str | None:
    """Percent-encode what no IRI holds; None where `%` stands already, and would be two things."""
    if "%" in text:
        return None
    start, hash_sign, fragment = text.partition("#")
    return _encoded_part(start) + hash_sign + _encoded_part(fragment)


def _encoded_part(text: str) -> str:
    return "".join(
        it if _ALLOWED_AT_ALL.match(it) and visible_line(it) == it else quote(it, safe="")
        for it in text
    )


def _is_alone(name: str, found: str, ids: Set[str]) -> bool:
    """Whether no id comes before this one as the one that the IRI is for.

    The IRI itself comes first, then in brackets, then the bare id that was encoded.
    """
    before = (found, f"<{found}>", name[1:-1] if name.startswith("<") else name)
    return not any(it != name and it in ids for it in before)
