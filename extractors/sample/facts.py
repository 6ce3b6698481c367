"""The truth about the sample's world as triples, and where each relation shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from extractors.sample.vocabulary import CLUBS, DIALECTS, FOODS, REGIONS, TRAITS
from extractors.sample.world import Thing, family_names

Triple = tuple[str, str, str]
"""Head, relation and tail, by id."""


@dataclass(frozen=True, slots=True)
class PlantedRelation:
    """A relation of things, and what decides it.

    Attributes:
        name: The relation.
        traits: The traits that decide the tail.
        modalities: The modalities that show these traits, in the same order.
        tails: Names of the tails, one for each combination of the traits' values.
    """

    name: str
    traits: tuple[str, ...]
    modalities: tuple[str, ...]
    tails: tuple[str, ...]

    def tail_of(self, thing: Thing) -> str:
        """Return the name of the tail that the thing's traits decide."""
        sizes = [len(TRAITS[trait]) for trait in self.traits]
        values = [TRAITS[trait].index(thing.traits[trait]) for trait in self.traits]
        return self.tails[int(np.ravel_multi_index(values, sizes))]


def _named_after(name: str, trait: str, modality: str) -> PlantedRelation:
    return PlantedRelation(name, (trait,), (modality,), TRAITS[trait])


MEDIA_RELATIONS = (
    _named_after("has_colour", "colour", "image"),
    _named_after("has_shape", "shape", "image"),
    _named_after("sings_note", "note", "audio"),
    _named_after("sounds_like", "voice", "audio"),
    _named_after("moves_by", "motion", "video"),
    _named_after("lives_in", "place", "text"),
    _named_after("made_of", "material", "text"),
    _named_after("has_size", "size class", "numeric"),
    PlantedRelation("member_of", ("marking", "rhythm"), ("image", "audio"), CLUBS),
    PlantedRelation("eats", ("hour", "company"), ("text", "video"), FOODS),
)
"""What the media show; the graph says nothing about it beyond how frequent an answer is."""

GRAPH_RELATIONS = ("of_family", "speaks", "friend_of")
"""What the graph alone shows: a family has one dialect, and friends are of one family."""


@dataclass(frozen=True, slots=True)
class Concept:
    """An entity that is no thing: a colour, a place, a club.

    Attributes:
        id: Id in the graph, made of the name.
        name: Name.
        kind: What it is, such as `colour`; None for a kind itself.
    """

    id: str
    name: str
    kind: str | None


def concept_id(name: str) -> str:
    """Make an id of a concept's name."""
    return name.lower().replace(" ", "_")


def concepts(num_things: int) -> list[Concept]:
    """List every entity that is no thing, each kind before what is of it."""
    named = {r.traits[0]: r.tails for r in MEDIA_RELATIONS if len(r.traits) == 1}
    named |= {"club": CLUBS, "food": FOODS, "dialect": DIALECTS}
    named |= {"region": tuple(REGIONS), "family": family_names(num_things)}
    return [
        Concept(concept_id(name), name, kind if name != kind else None)
        for kind, names in named.items()
        for name in (kind, *names)
    ]


def concept_facts(num_things: int) -> list[Triple]:
    """State what holds between concepts: kinds, regions, neighbours, the order of sizes."""
    kinds = [
        (concept.id, "is_a", concept_id(concept.kind))
        for concept in concepts(num_things)
        if concept.kind is not None
    ]
    places = [
        (concept_id(place), "located_in", concept_id(region))
        for region, members in REGIONS.items()
        for place in members
    ]
    neighbours = [
        (concept_id(one), "neighbour_of", concept_id(other))
        for one, other in pairwise(TRAITS["place"])
    ]
    sizes = [(one, "smaller_than", other) for one, other in combinations(TRAITS["size class"], 2)]
    return kinds + places + neighbours + sizes


def thing_facts(things: Sequence[Thing], rng: np.random.Generator) -> dict[str, list[Triple]]:
    """State what holds of things, by relation; each fact's head is the thing it is about."""
    facts = {
        relation.name: [
            (thing.id, relation.name, concept_id(relation.tail_of(thing))) for thing in things
        ]
        for relation in MEDIA_RELATIONS
    }
    return facts | _family_facts(things, rng)


def _family_facts(things: Sequence[Thing], rng: np.random.Generator) -> dict[str, list[Triple]]:
    """State families, the dialect of each, and a friend of each thing within its family."""
    families: dict[str, list[Thing]] = {}
    for thing in things:
        if thing.family is not None:
            families.setdefault(thing.family, []).append(thing)
    facts: dict[str, list[Triple]] = {relation: [] for relation in GRAPH_RELATIONS}
    for row, family in enumerate(sorted(families)):
        members, dialect = families[family], concept_id(DIALECTS[row % len(DIALECTS)])
        facts["of_family"] += [(thing.id, "of_family", concept_id(family)) for thing in members]
        facts["speaks"] += [(thing.id, "speaks", dialect) for thing in members]
        facts["friend_of"] += _friendships(members, rng)
    return facts


def _friendships(members: Sequence[Thing], rng: np.random.Generator) -> Iterator[Triple]:
    """Pair things of a family at random, one friendship for each; a pair is stated once."""
    pairs = list(combinations(members, 2))
    for row in rng.permutation(len(pairs))[: len(members)]:
        one, other = pairs[row]
        yield one.id, "friend_of", other.id
