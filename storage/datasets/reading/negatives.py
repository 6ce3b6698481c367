"""`negatives.tsv`: triples that are known to be wrong, beside the splits of either form of folder.

Head, relation and tail by name, separated by tabs; exactly three columns, no header line. Training
does not see them.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from storage.datasets.graph import Graph, Triples
from storage.datasets.keys import pack
from storage.datasets.reading.triple_lines import (
    ALLOWED,
    mention_header,
    refuse_header,
    split_lines,
    unknown_ends,
)
from storage.datasets.reading.unknown import Sighting, UnknownNames

NEGATIVES_FILE = "negatives.tsv"

_ALLOWED = f"{ALLOWED}; three columns, for a negative has no confidence"


def read_negatives(
    root: Path,
    entities: Mapping[str, int],
    relations: Mapping[str, int],
    entities_file: str,
    unknown: UnknownNames,
) -> Triples:
    """Read the distinct negatives of a dataset, none if it has no such file.

    Args:
        root: The dataset's folder.
        entities: Row of each entity by its id.
        relations: Index of each relation by its name.
        entities_file: Name of the file that lists the entities, for messages.
        unknown: Takes in names that are not among these; their lines are left out.

    Returns:
        In the order of `storage.datasets.keys`. Shape: (num_negatives, 3).

    Raises:
        DatasetError: If the file cannot be read, or is not as described above.
    """
    file = root / NEGATIVES_FILE
    flat: list[int] = []
    is_first = True
    for number, columns in split_lines(file, _ALLOWED, most_columns=3) if _exists(file) else ():
        head, relation, tail = columns
        sightings = unknown_ends(head, tail, entities, entities_file)
        if sightings and is_first:
            refuse_header(file, number, columns, entities_file)
            sightings = mention_header(sightings)
        is_first = False
        if relation not in relations:
            allowed = "a relation of the dataset's triples"
            sightings.append(Sighting("relation", "relation", relation, allowed))
        if sightings:
            unknown.add(file, number, sightings)
        else:
            flat += (entities[head], relations[relation], entities[tail])
    triples = np.array(flat, dtype=np.int64).reshape(-1, 3)
    if not flat:
        return triples
    keys = pack(triples, len(entities), len(relations))
    return triples[np.unique(keys, return_index=True)[1]]


def write_negatives(root: Path, graph: Graph) -> None:
    """Write the graph's negatives into a dataset's folder; no file where there are none.

    Args:
        root: The folder.
        graph: The graph.
    """
    if not len(graph.negatives):
        return
    with (root / NEGATIVES_FILE).open("w", encoding="utf-8", newline="\n") as file:
        for head, relation, tail in graph.negatives.tolist():
            columns = (graph.entities[head], graph.relations[relation], graph.entities[tail])
            file.write("\t".join(columns) + "\n")


def _exists(file: Path) -> bool:
    return os.path.lexists(file)
