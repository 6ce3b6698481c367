"""Relations, triples and rules in words."""

import numpy as np
import pytest

from model.prediction.wording import Wording, readable_relation
from model.rules.paths import find_path
from model.rules.walks import Walks
from storage.datasets.graph import Graph, Triples

NAMES = ("Andorra", "Spain", "Spanish", "France", "Ghost", "Ghost")
IDS = ("Q228", "Q29", "Q1321", "Q142", "g1", "g2")
RELATIONS = ("shares_border_with", "hasLanguage")
BORDER, LANGUAGE, BORDER_BACK, LANGUAGE_BACK = range(4)


def graph(relations: tuple[str, ...] = RELATIONS) -> Graph:
    none: Triples = np.empty((0, 3), dtype=np.int64)
    return Graph(IDS, NAMES, relations, none, none, none)


@pytest.mark.parametrize(
    ("relation", "readable"),
    [
        ("has_language", "has language"),
        ("hasLanguage", "has language"),
        ("HasLanguage", "has language"),
        ("HAS_LANGUAGE", "has language"),
        ("has language", "has language"),
        ("schema:hasLanguage", "has language"),
        ("<http://schema.org/hasLanguage>", "has language"),
        ("http://www.wikidata.org/prop/direct/P37", "P37"),
        ("P37", "P37"),
        ("wdt:P37", "P37"),
        ("/people/person/place_of_birth", "place of birth"),
        ("hasISBN", "has ISBN"),
        ("member of NATO", "member of NATO"),
        ("spricht_Französisch", "spricht Französisch"),
        ("言語", "言語"),
        ("r1", "r1"),
        ("_", "_"),
        ("/", "/"),
        (":", ":"),
    ],
)
def test_relations_are_readable(relation: str, readable: str) -> None:
    assert readable_relation(relation) == readable


def test_relations_that_would_read_alike_keep_their_ids() -> None:
    wording = Wording(graph(("has_part", "hasPart", "is_part")))
    read = [wording.relation(it) for it in ("has_part", "hasPart", "is_part")]
    assert read == ["has_part", "hasPart", "is part"]


def test_ids_stand_only_beside_names_that_are_shared() -> None:
    wording = Wording(graph())
    assert wording.entity("Q29") == "Spain"
    assert wording.entity("g2") == "Ghost (g2)"
    assert wording.fact("Q228", "shares_border_with", "g1") == (
        "Andorra shares border with Ghost (g1)"
    )


@pytest.mark.parametrize(
    ("body", "path", "num_paths", "sentence"),
    [
        (
            (BORDER, LANGUAGE),
            (0, 1, 2),
            1,
            'Andorra "shares border with" Spain, and Spain "has language" Spanish lead to {}',
        ),
        (
            (BORDER_BACK, LANGUAGE),
            (0, 1, 2),
            3,
            'Spain "shares border with" Andorra, and Spain "has language" Spanish '
            "(one of 3 such paths) lead to {}",
        ),
        ((LANGUAGE,), (0, 2), 1, 'Andorra "has language" Spanish leads to {}'),
        (
            (BORDER, BORDER_BACK, LANGUAGE),
            (0, 1, 3, 2),
            1,
            'Andorra "shares border with" Spain, France "shares border with" Spain, and '
            'France "has language" Spanish lead to {}',
        ),
    ],
)
def test_a_rule_is_a_sentence_of_facts(
    body: tuple[int, ...], path: tuple[int, ...], num_paths: int, sentence: str
) -> None:
    share = '41% of pairs joined like this have "has language"'
    for asked_for, implied in (
        (LANGUAGE, 'Andorra "has language" Spanish'),
        (LANGUAGE_BACK, 'Spanish "has language" Andorra'),
    ):
        told = Wording(graph()).rule(asked_for, body, 0.412, path, num_paths)
        assert told == f"{sentence.format(implied)}: {share}"


def test_small_confidences_are_not_nothing() -> None:
    told = Wording(graph()).rule(LANGUAGE, (LANGUAGE,), 0.002, (0, 2), 1)
    assert ": less than 1% of pairs" in told


class TestPaths:
    SIZE, NUM_RELATIONS = 9, 6  # three relations and their inverses

    def edges(self) -> Triples:
        generator = np.random.default_rng(3)
        found = generator.integers(0, [self.SIZE, 3, self.SIZE], (40, 3))
        back = np.column_stack([found[:, 2], found[:, 1] + 3, found[:, 0]])
        return np.concatenate([found, back])

    def plain(self, body: tuple[int, ...], start: int, end: int) -> list[tuple[int, ...]]:
        facts = set(map(tuple, self.edges().tolist()))
        paths: list[tuple[int, ...]] = [(start,)]
        for relation in body:
            paths = [
                (*path, other)
                for path in paths
                for other in range(self.SIZE)
                if (path[-1], relation, other) in facts
            ]
        found = [path for path in paths if path[-1] == end]
        simple = [path for path in found if len(set(path)) == len(path)]
        return simple or found

    @pytest.mark.parametrize("body", [(0,), (4,), (0, 1), (2, 5), (0, 3, 1), (4, 1, 2)])
    def test_are_those_of_a_plain_search(self, body: tuple[int, ...]) -> None:
        walks = Walks(self.edges(), self.SIZE, self.NUM_RELATIONS)
        num_found = 0
        for start in range(self.SIZE):
            for end in range(self.SIZE):
                expected = self.plain(body, start, end)
                found = find_path(walks, body, start, end)
                assert (found is None) == (not expected)
                if found is not None:
                    num_found += 1
                    assert found == (expected[0], len(expected))
        assert num_found > 0
