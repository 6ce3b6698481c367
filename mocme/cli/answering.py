"""Answering one question on a terminal, and which answers are wanted of any."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDOUT, print_json, print_note
from mocme.cli.reasons import find_media, print_reasons
from mocme.tables import table, weights

if TYPE_CHECKING:
    from model.prediction.answers import Answer
    from model.prediction.wording import Wording


@dataclass(frozen=True)
class Wanted:
    """Which answers are wanted, and how they are shown.

    Attributes:
        k: At most so many.
        new: Whether known triples are left out.
        min_probability: The lowest.
        per_head: Triples of one head and relation at most; None for any number.
        out: A file to write to; None for standard output.
        for_spreadsheet: Whether formulas in the file get an apostrophe.
        as_json: Whether a JSON object is printed.
    """

    k: int
    new: bool
    min_probability: float
    per_head: int | None
    out: Path | None
    for_spreadsheet: bool
    as_json: bool

    @property
    def limits(self) -> dict[str, Any]:
        """The arguments that `Predictor` takes."""
        names = ("k", "new", "min_probability", "per_head")
        return {name: getattr(self, name) for name in names}

    @property
    def has_limits(self) -> bool:
        """Whether any limit but k is given."""
        return self.new or self.min_probability > 0 or self.per_head is not None


class Asked(NamedTuple):
    """A question as it was typed: head, relation, tail; an end is None, the relation may be."""

    head: str | None
    relation: str | None
    tail: str | None


def answer_question(folder: StagedRun, asked: Asked, wanted: Wanted, *, why: bool) -> None:
    """Answer one question and print the answers.

    Args:
        folder: The run.
        asked: The question.
        wanted: Which answers are wanted.
        why: Whether to say what spoke for each.
    """
    from model.prediction.predictor import Predictor  # imports torch
    from model.prediction.questions import Question

    predictor = Predictor(folder.path)
    row = predictor.questions.row(Question(*asked))
    answers = predictor.answers(**asked._asdict(), **wanted.limits)
    entity = predictor.graph.entities[row.entity]
    if not row.relations:
        print_note(_nothing_expected(predictor.wording.entity(entity), asked.head is not None))
    elif not answers:
        print_note("no answer is left by --new, --min-probability and what is known to be wrong")
    media = find_media(folder, [entity, *(it.entity for it in answers)]) if why else {}
    if wanted.as_json:
        found = {"run_dir": str(folder.path), "answers": [asdict(answer) for answer in answers]}
        print_json({**found, "media": media} if why else found)
    elif answers:
        _print_answers(asked, answers, predictor.wording)
        if why:
            several = asked.relation is None
            print_reasons(entity, answers, media, predictor.wording, whole_triples=several)


def _nothing_expected(entity: str, is_head: bool) -> str:
    end = "head" if is_head else "tail"
    return (
        f"no relation is to be expected of {entity} as {end}: no fact of the graph shows which "
        "entities are like it; --relation asks for one all the same"
    )


def _print_answers(asked: Asked, answers: Sequence["Answer"], wording: "Wording") -> None:
    """Print answers, most probable first, with the weight of each modality."""
    title = f"{asked.head or '?'}  {asked.relation or '?'}  {asked.tail or '?'}"
    marks = [
        (it.probability, "known" if it.known else "", weights(it.modality_weights))
        for it in answers
    ]
    if asked.relation is None:
        columns = ["head", "relation", "tail"]
        cells: list[tuple[str, ...]] = [triple_of(it, wording) for it in answers]
    else:
        columns = ["name", "id"]
        cells = [(it.name, it.entity) for it in answers]
    rows = [(*of_answer, *mark) for of_answer, mark in zip(cells, marks, strict=True)]
    STDOUT.print(table(title, [*columns, "probability", "", "weights"], rows))


def triple_of(answer: "Answer", wording: "Wording") -> tuple[str, str, str]:
    """Return head, relation and tail of an answer, ends by name."""
    return wording.entity(answer.head), answer.relation, wording.entity(answer.tail)
