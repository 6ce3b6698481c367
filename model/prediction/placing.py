"""Placing entities that arrived after a training, by their features and first facts alone.

The model is not trained again. A new entity is encoded by the experts as they are, and aggregates
the neighbours that its facts name. Its learned row is fitted to its facts with all else frozen
(`model.prediction.row_fitting`); without facts it is the mean row, as of an entity that no training
triple names. Rules are applied to its facts as well, with their confidences unchanged. The rows of
all other entities stay as they are, to the bit.

Shapes: E entities of the run, N new ones, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.config import STRUCTURE, ModelConfig, TrainConfig
from model.encoded_block import EncodedBlock
from model.inputs import with_inverses
from model.prediction.row_fitting import fit_rows
from model.probability.held_out import carried_over
from model.runs.run_folder import RunFolder
from model.runs.trained import OtherFeaturesError, read_model
from model.scoring.block import Block
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import Graph, Triples
from storage.features.table import FeatureTable

LARGEST_CHANGE = 0.05
"""Change of a known entity's embedding, relative to its length, that rounding explains."""


@dataclass(frozen=True)
class Arrivals:
    """A run's graph and what has arrived since.

    Attributes:
        graph: The run's, with the new entities behind its own. Shape of `train`: as the run's.
        num_known: E.
        facts: Triples that name a new entity, by rows of `graph`. Shape: (any, 3).
    """

    graph: Graph
    num_known: int
    facts: Triples

    @property
    def num_new(self) -> int:
        """N."""
        return self.graph.num_entities - self.num_known


def arrivals(run: Graph, now: Graph) -> Arrivals:
    """Find the entities of a dataset that a run has not seen, and their facts.

    Facts are taken from the dataset's training triples, where the run knows the relation.

    Args:
        run: The graph that the run was trained on.
        now: The dataset's graph.
    """
    known = set(run.entities)
    new = [row for row, entity in enumerate(now.entities) if entity not in known]
    graph = replace(
        run,
        entities=run.entities + tuple(now.entities[row] for row in new),
        names=run.names + tuple(now.names[row] for row in new),
        kinds=_grown_kinds(run, now, new),
    )
    is_new = np.zeros(now.num_entities, dtype=bool)
    is_new[new] = True
    theirs = now.train[is_new[now.train[:, [0, 2]]].any(axis=1)]
    return Arrivals(graph, run.num_entities, _translated(theirs, now, graph))


def _grown_kinds(run: Graph, now: Graph, new: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """Return the kinds of a run's entities and of new ones; empty if none states any."""
    if not run.kinds and not now.kinds:
        return ()
    of_run = run.kinds or ((),) * run.num_entities
    of_now = now.kinds or ((),) * now.num_entities
    return of_run + tuple(of_now[row] for row in new)


def _translated(triples: Triples, now: Graph, graph: Graph) -> Triples:
    """Return triples of one graph by the rows of another that has all of their entities."""
    rows = {entity: row for row, entity in enumerate(graph.entities)}
    relations = {relation: row for row, relation in enumerate(graph.relations)}
    found = [
        (rows[now.entities[head]], relations[now.relations[relation]], rows[now.entities[tail]])
        for head, relation, tail in triples.tolist()
        if now.relations[relation] in relations
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def place(
    run_dir: Path,
    found: Arrivals,
    tables: Mapping[str, FeatureTable],
    config: ModelConfig,
    training: TrainConfig,
    target: Path,
) -> None:
    """Write a folder that answers as the run does, of the new entities too.

    Args:
        run_dir: A finished run.
        found: What is to be placed.
        tables: Feature table by modality, rows in the order of `found.graph`.
        config: The run's `model` section.
        training: The run's `train` section.
        target: The folder; made if absent.

    Raises:
        OtherFeaturesError: If the features of entities that the run knows are not those that it was
            trained on, or a modality is not as it was.
    """
    folder = RunFolder(run_dir)
    learned = folder.read_scoring()
    inverse = training.inverse_relations
    model = read_model(folder, found.graph, tables, config, inverse_relations=inverse)
    known, new = _edges(found)
    edges = torch.cat([known, new[new[:, 0] >= found.num_known]])  # known entities receive no new
    with torch.inference_mode():
        blocks, _ = model(model.neighbourhood(edges), torch.ones(len(edges), dtype=torch.bool))
    encoded = {block.name: block for block in blocks}
    for block in learned.encoded:
        _check_unchanged(block, encoded[block.name], found.num_known)
    grown: list[Block] = [
        _grown(block, encoded[block.name], found.num_known) for block in learned.encoded
    ]
    for number, each in enumerate(grown):
        if isinstance(each, EncodedBlock) and each.name.partition("#")[0] == STRUCTURE:
            grown[number] = fit_rows(each, found.num_known, new, known, training.n3_weight)
    if learned.rules is not None:
        all_edges = torch.cat([known, new]).numpy()
        grown.append(learned.rules.grown(all_edges, found.graph.num_entities))
    _write(RunFolder(target), found, replace(learned, blocks=grown))


def _write(folder: RunFolder, found: Arrivals, scoring: BlockScoring) -> None:
    train = np.concatenate([found.graph.train, found.facts])
    graph = replace(found.graph, train=train)
    calibration = carried_over(graph, scoring.calibration)  # kinds may be new, too
    folder.create(graph)
    replace(scoring, calibration=calibration).save(folder.scoring)
    folder.finish({})


def _edges(found: Arrivals) -> tuple[Tensor, Tensor]:
    """Return the run's edges and those of the new facts, both with inverses. (any, 3) each."""
    num_relations = found.graph.num_relations
    learned = with_inverses(np.unique(found.graph.train, axis=0), num_relations)
    new = with_inverses(np.unique(found.facts, axis=0), num_relations)
    return torch.from_numpy(learned), torch.from_numpy(new)


def _check_unchanged(learned: EncodedBlock, encoded: EncodedBlock, num_known: int) -> None:
    """Refuse where known entities would be encoded otherwise than they were."""
    before, after = learned.entities.float(), encoded.entities[:num_known].float()
    length = before.norm(dim=1).clamp_min(1e-6)
    is_alike = (after - before).norm(dim=1) <= LARGEST_CHANGE * length  # never, if not a number
    num_changed = int((~is_alike).sum())
    if num_changed:
        raise OtherFeaturesError(
            f"found other features of {num_changed} of the {num_known} entities that the run knows "
            f"(by the block {learned.name}); allowed: those that it was trained on, beside those "
            "of new entities; `mocme train` learns from others"
        )


def _grown(learned: EncodedBlock, encoded: EncodedBlock, num_known: int) -> EncodedBlock:
    return replace(
        learned,
        entities=torch.cat([learned.entities, encoded.entities[num_known:].detach()]),
        present=torch.cat([learned.present, encoded.present[num_known:]]),
        shares=torch.cat([learned.shares, encoded.shares[num_known:]]),
    )
