"""Predictions of a finished run: who answers a question, how likely, and what spoke for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from model.completion import expected_questions, most_probable_missing
from model.config import CONTENT
from model.ranking import known_answers
from model.run_folder import RunFolder
from storage.errors import MocmeError
from storage.suggestion import did_you_mean


@dataclass(frozen=True)
class Answer:
    """One answer to a question.

    Attributes:
        entity: Id.
        name: What a person calls it.
        probability: The model's belief among all entities, calibrated on valid.
        modality_weights: Share of every modality in the answer's score, summing to 1; see
            `Predictor.predict`.
        known: Whether the triple stands in the graph already.
    """

    entity: str
    name: str
    probability: float
    modality_weights: dict[str, float]
    known: bool


@dataclass(frozen=True)
class PredictedTriple:
    """A triple that the graph lacks. Fields as in `Answer`."""

    head: str
    relation: str
    tail: str
    probability: float
    modality_weights: dict[str, float]


class Predictor:
    """Answers questions with a finished run.

    Args:
        run_dir: The run's folder.

    Raises:
        MocmeError: If the run has not finished training.
    """

    def __init__(self, run_dir: Path) -> None:
        folder = RunFolder(run_dir)
        self.graph = folder.read_graph()
        self.scoring = folder.read_scoring()
        self._known = known_answers(self.graph, torch.device("cpu"))
        self._entity_row = {entity: row for row, entity in enumerate(self.graph.entities)}
        self._relation_row = {name: row for row, name in enumerate(self.graph.relations)}

    @torch.inference_mode()
    def predict(
        self, *, head: str | None = None, relation: str, tail: str | None = None, k: int = 10
    ) -> list[Answer]:
        """Answer (head, relation, ?) or (?, relation, tail).

        A block's share in an answer is what it adds to the score above its mean over all
        entities, in proportion to the other blocks'; the content block's share is divided among
        modalities by the mean of the fusion weights of the question's and the answer's entity.
        The share of a block of one modality is that modality's; where neither entity has any,
        the share goes to `content`.

        Args:
            head: Entity id; give either this or `tail`.
            relation: Relation id.
            tail: Entity id.
            k: Answers wanted.

        Returns:
            At most k answers, the most probable first; known triples are marked.

        Raises:
            MocmeError: If an id is unknown, or not exactly one of head and tail is given.
        """
        if (head is None) == (tail is None):
            raise MocmeError(f"found head {head!r} and tail {tail!r}; allowed: exactly one of them")
        asks_for_head = head is None
        row = self._row(self._entity_row, head if tail is None else tail, "entity")
        index = self._row(self._relation_row, relation, "relation")
        question = torch.tensor([index + self.graph.num_relations * asks_for_head])
        heads = torch.tensor([row])
        probability = self.scoring.scores(heads, question).softmax(1)[0]
        known = set(self._known.lookup(heads, question)[1].tolist())
        top = probability.topk(min(k, len(probability)))
        return [
            Answer(
                self.graph.entities[answer],
                self.graph.names[answer],
                chance,
                self._shares(row, int(question), answer),
                answer in known,
            )
            for chance, answer in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        ]

    def complete(
        self, relations: Sequence[str] | None = None, k: int = 10
    ) -> Iterator[PredictedTriple]:
        """Find the k most probable triples of every relation that the graph lacks.

        Questions are asked where an answer is to be expected: see `model.completion`.

        Args:
            relations: Relation ids; None = all.
            k: Triples per relation.

        Raises:
            MocmeError: If a relation is unknown.
        """
        asked = expected_questions(self.graph)
        for name in relations if relations is not None else self.graph.relations:
            index = self._row(self._relation_row, name, "relation")
            found = most_probable_missing(self.scoring, asked, self._known, index, k)
            for chance, head, tail in found:
                yield PredictedTriple(
                    self.graph.entities[head],
                    name,
                    self.graph.entities[tail],
                    chance,
                    self._shares(head, index, tail),
                )

    @staticmethod
    def _row(rows: dict[str, int], key: str | None, kind: str) -> int:
        if key not in rows:
            raise MocmeError(
                f"found {kind} {key!r}; allowed: an id of the graph{did_you_mean(str(key), rows)}"
            )
        return rows[key]

    @torch.inference_mode()
    def _shares(self, row: int, relation: int, answer: int) -> dict[str, float]:
        blocks = self.scoring.block_parts(row, relation)
        parts = (blocks[:, answer] - blocks.mean(1)).clamp_min(0)
        parts = parts / parts.sum() if parts.sum() > 0 else torch.full_like(parts, 1 / len(parts))
        shares = dict.fromkeys(self.scoring.modalities, 0.0)
        for block, part in zip(self.scoring.blocks, parts.tolist(), strict=True):
            if block.name != CONTENT:
                name = block.name.removeprefix(f"{CONTENT}-")
                shares[name] = shares.get(name, 0.0) + part
                continue
            weights = self.scoring.modality_weights[[row, answer]].mean(0)
            if weights.sum() == 0:
                shares[CONTENT] = part
                continue
            divided = part * weights / weights.sum()
            for name, share in zip(self.scoring.modalities, divided.tolist(), strict=True):
                shares[name] += share
        return shares
