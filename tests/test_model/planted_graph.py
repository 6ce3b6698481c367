"""A graph whose facts are planted: which modality shows what is known beforehand.

Things have a colour, which only their image shows, and a shape, which only their text shows. The
maker of a thing follows from its colour, so structure alone can tell the colour of most things.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import Graph, Triples
from storage.features.table import FeatureTable

NUM_COLOURS = NUM_SHAPES = NUM_MAKERS = 5
COLOUR, SHAPE, MAKER = 0, 1, 2
NEWCOMER, BARE, STRANGER = 0, 1, 2
"""Things: unseen in training, without any modality, and both."""
IMAGE_DIM, TEXT_DIM = 8, 9


@dataclass(frozen=True)
class World:
    """A planted graph and its feature tables.

    Attributes:
        graph: Things first, then colours, shapes and makers.
        image: Values of the modality that shows the colour. Shape: (E, IMAGE_DIM).
        has_image: Who has an image. Shape: (E,).
        text: Values of the modality that shows the shape. Shape: (E, TEXT_DIM).
        has_text: Who has a text. Shape: (E,).
    """

    graph: Graph
    image: NDArray[np.float32]
    has_image: NDArray[np.bool_]
    text: NDArray[np.float32]
    has_text: NDArray[np.bool_]

    def tables(self, garbage: float = np.nan) -> dict[str, FeatureTable]:
        """Return the tables; `garbage` stands in the rows of entities without the modality."""
        return {
            "image": feature_table(self.image, self.has_image, garbage),
            "text": feature_table(self.text, self.has_text, garbage),
        }


def feature_table(
    values: NDArray[np.float32], present: NDArray[np.bool_], garbage: float = np.nan
) -> FeatureTable:
    """Return a table of one item an entity. Shapes: (E, dim) and (E,)."""
    filled = np.where(present[:, None], values, np.float32(garbage)).astype(np.float32)
    return FeatureTable(filled[:, None], present[:, None], "dense")


def planted_world(num_things: int = 40, seed: int = 0, absent: float = 0.2) -> World:
    """Draw a world.

    Args:
        num_things: Number of things; colours, shapes and makers come on top.
        seed: Of all that is random.
        absent: Share of things without an image, and of those without a text.
    """
    generator = np.random.default_rng(seed)
    colour = generator.integers(NUM_COLOURS, size=num_things)
    shape = generator.integers(NUM_SHAPES, size=num_things)
    things = np.arange(num_things)
    answers = (colour, shape + NUM_COLOURS, colour + NUM_COLOURS + NUM_SHAPES)
    triples = np.concatenate(
        [
            np.stack([things, np.full(num_things, relation), num_things + answer], axis=1)
            for relation, answer in enumerate(answers)
        ]
    )
    num_entities = num_things + NUM_COLOURS + NUM_SHAPES + NUM_MAKERS
    image = generator.normal(size=(num_entities, IMAGE_DIM)).astype(np.float32)
    text = generator.normal(size=(num_entities, TEXT_DIM)).astype(np.float32)
    image[:num_things] = _shown(colour, IMAGE_DIM, generator)
    text[:num_things] = _shown(shape, TEXT_DIM, generator)
    has_image = generator.random(num_entities) >= absent
    has_text = generator.random(num_entities) >= absent
    for has in (has_image, has_text):
        has[num_things:] = has[NEWCOMER] = True
        has[[BARE, STRANGER]] = False
    return World(_split(triples, num_entities, generator), image, has_image, text, has_text)


def _shown(
    group: NDArray[np.int64], dim: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return a noisy feature row of every thing's group. Shape: (num_things, dim)."""
    clean = np.eye(dim, dtype=np.float32)[group] * 4
    return (clean + generator.normal(size=clean.shape) * 0.3).astype(np.float32)


def _split(triples: Triples, num_entities: int, generator: np.random.Generator) -> Graph:
    shuffled = triples[generator.permutation(len(triples))]
    is_unseen = np.isin(shuffled[:, 0], [NEWCOMER, STRANGER])
    unseen, others = shuffled[is_unseen], shuffled[~is_unseen]
    valid, test, train = np.split(others, [len(others) // 10, len(others) // 5])
    test = np.concatenate([test, unseen])
    ids = tuple(f"entity-{row}" for row in range(num_entities))
    names = tuple(f"Entity {row}" for row in range(num_entities))
    return Graph(ids, names, ("has colour", "has shape", "has maker"), train, valid, test)
