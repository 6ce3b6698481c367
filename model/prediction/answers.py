"""What a prediction tells: answers and triples, how probable they are, and what spoke for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.files.separated import ID_SEPARATOR

if TYPE_CHECKING:
    from pandas import DataFrame

_NUMBER = "question"  # the column of a question's number


@dataclass(frozen=True)
class NearFact:
    """A training fact of the same relation as a triple, and how much it is like it.

    Attributes:
        head: Id.
        head_name: What a person calls it.
        tail: Id.
        tail_name: What a person calls it.
        similarity: Between 0 and 1; see `model.prediction.nearest_facts`.
    """

    head: str
    head_name: str
    tail: str
    tail_name: str
    similarity: float


@dataclass(frozen=True)
class AppliedRule:
    """A rule that leads from a question's entity to an answer.

    Attributes:
        body: Ids of the relations of the facts in a row; `inverse of ID` where a fact is followed
            from its tail to its head.
        confidence: Share of the pairs that such facts join for which the asked relation holds.
        path: Ids of the entities along the body, from the question's to the answer; empty where no
            path was looked for, as in files.
        num_paths: How many such paths there are.
        sentence: The path and the confidence in words, by names; empty without a path.
    """

    body: tuple[str, ...]
    confidence: float
    path: tuple[str, ...] = ()
    num_paths: int = 0
    sentence: str = ""

    def __str__(self) -> str:
        return ", ".join(self.body)


@dataclass(frozen=True)
class Answer:
    """One answer to a question.

    Attributes:
        entity: Id.
        name: What a person calls it.
        probability: That the triple holds, by what came true on valid; see
            `model.probability`. Of a known triple, the dataset's confidence.
        modality_weights: Share of every modality in the answer's score, summing to 1; see
            `model.prediction.evidence`.
        expert_weights: Of the modalities that have several experts, how that is divided among them.
        known: Whether the triple stands in the graph already.
        nearest_facts: The training facts that are most like it, the nearest first.
        rule: The most confident rule that leads to it; None where none does.
        head: Id of the head of the triple that it makes with the question.
        head_name: What a person calls it.
        relation: Id of the triple's relation.
        tail: Id of its tail.
        tail_name: What a person calls it.
        known_answers: Ids of known answers to the same question, some if there are many.
        contradicts: Known triples that cannot hold if this one does, by ids of head, relation and
            tail: other answers to a question that has one at most.
    """

    entity: str
    name: str
    probability: float
    modality_weights: dict[str, float]
    expert_weights: dict[str, list[float]]
    known: bool
    nearest_facts: tuple[NearFact, ...]
    rule: AppliedRule | None
    head: str
    head_name: str
    relation: str
    tail: str
    tail_name: str
    known_answers: tuple[str, ...] = ()
    contradicts: tuple[tuple[str, str, str], ...] = ()

    def row(self) -> dict[str, Any]:
        """The fields by name, what spoke for it in columns of their own."""
        return {
            "entity": self.entity,
            "name": self.name,
            "probability": self.probability,
            "known": self.known,
            "contradicts": ID_SEPARATOR.join(map(" ".join, self.contradicts)),
            "known_answers": ID_SEPARATOR.join(self.known_answers),
            "head": self.head,
            "head_name": self.head_name,
            "relation": self.relation,
            "tail": self.tail,
            "tail_name": self.tail_name,
            **_reason_columns(self),
        }


@dataclass(frozen=True)
class NumberedAnswer:
    """An answer to one question of several.

    Attributes:
        question: The question's number, or its line in a file.
        answer: The answer.
    """

    question: int
    answer: Answer

    def row(self) -> dict[str, Any]:
        """The answer's row, behind the question's number."""
        return {_NUMBER: self.question, **self.answer.row()}


def numbered(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns that `NumberedAnswer.row` has, from those of an answer."""
    return (_NUMBER, *columns)


@dataclass(frozen=True)
class PredictedTriple:
    """A triple that the graph lacks: ids, names, and what else is as in `Answer`.

    Of the training facts there is the nearest alone, if the relation has any, unless more are asked
    for. The known answers are other tails of its head.
    """

    head: str
    head_name: str
    relation: str
    tail: str
    tail_name: str
    probability: float
    modality_weights: dict[str, float]
    expert_weights: dict[str, list[float]]
    nearest_facts: tuple[NearFact, ...]
    rule: AppliedRule | None
    known_answers: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """The fields by name, what spoke for it in columns of their own."""
        return {
            "head": self.head,
            "head_name": self.head_name,
            "relation": self.relation,
            "tail": self.tail,
            "tail_name": self.tail_name,
            "probability": self.probability,
            "known_answers": ID_SEPARATOR.join(self.known_answers),
            **_reason_columns(self),
        }


def _reason_columns(found: Answer | PredictedTriple) -> dict[str, Any]:
    """Nearest fact and rule, None where there is none, and each modality's and expert's weight."""
    nearest = found.nearest_facts[0] if found.nearest_facts else None
    experts = {
        f"expert_weight_{name}_{number}": weight
        for name, weights in found.expert_weights.items()
        for number, weight in enumerate(weights, start=1)
    }
    return {
        "nearest_head": nearest and nearest.head,
        "nearest_tail": nearest and nearest.tail,
        "similarity": nearest and nearest.similarity,
        "rule": found.rule and str(found.rule),
        "rule_confidence": found.rule and found.rule.confidence,
        **{f"weight_{name}": weight for name, weight in found.modality_weights.items()},
        **experts,
    }


def as_table(
    found: Iterable[Answer | NumberedAnswer | PredictedTriple], columns: Sequence[str]
) -> "DataFrame":
    """Return a row for each answer or triple, with columns even if there are none."""
    import pandas

    return pandas.DataFrame([it.row() for it in found], columns=columns)
