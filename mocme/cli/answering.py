"""Answering one question, on a terminal or in a file, and which answers are wanted of any."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDERR, STDOUT, print_json, print_line, print_note
from mocme.cli.reasons import find_media, print_reasons
from mocme.exporting.prediction_files import check_answers_suffix, write_answers
from mocme.exporting.prior_file import require_predictions
from mocme.prediction_order import Order
from mocme.reliability import Reliability, print_reliability, read_reliability
from mocme.tables import MOST_WEIGHTS, table, weights

if TYPE_CHECKING:
    from mocme.predictor import Predictor
    from model.prediction.answers import Answer, NumberedAnswer
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
        order: Of the triples of a completed graph; None = relation after relation, or as the file
            is made for.
    """

    k: int
    new: bool
    min_probability: float
    per_head: int | None
    out: Path | None
    for_spreadsheet: bool
    as_json: bool
    order: Order | None = None

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
    """Answer one question, and write the answers to a file or print them.

    Args:
        folder: The run.
        asked: The question.
        wanted: Which answers are wanted.
        why: Whether to print what spoke for each.
    """
    from mocme.predictor import Predictor  # imports torch
    from model.prediction.answers import NumberedAnswer

    check_out(wanted.out)
    predictor = Predictor(folder.path)
    answers = predictor.answers(**asked._asdict(), **wanted.limits)
    entity = _note_what_lacks(predictor, asked, has_answers=bool(answers))
    if wanted.out is not None:
        found = (NumberedAnswer(1, answer) for answer in answers)
        write_found(found, 1, predictor, folder, wanted)
        return
    reliability = read_reliability(folder)
    media = find_media(folder, [entity, *(it.entity for it in answers)]) if why else {}
    if wanted.as_json:
        shown = {
            "run_dir": str(folder.path),
            "probabilities": reliability.as_json(),
            "answers": [asdict(answer) for answer in answers],
        }
        print_json({**shown, "media": media} if why else shown)
    elif answers:
        _print_answers(asked, answers, predictor.wording, reliability)
        if why:
            several = asked.relation is None
            print_reasons(entity, answers, media, predictor.wording, whole_triples=several)


def check_out(out: Path | None) -> None:
    """Refuse a file for answers that cannot hold them, or that is somebody else's.

    Raises:
        MocmeError: If it is of another kind than tables and JSON lines, or not mocme's.
    """
    if out is not None:
        check_answers_suffix(out)
        require_predictions(out)


def write_found(
    found: Iterable["NumberedAnswer"],
    num_questions: int,
    predictor: "Predictor",
    folder: StagedRun,
    wanted: Wanted,
) -> None:
    """Write answers to a file as they are found, and print how many there were.

    Args:
        found: The answers.
        num_questions: How many questions they answer.
        predictor: Whose answers they are.
        folder: The run.
        wanted: Names the file.
    """
    from model.prediction.answers import numbered

    out = Path(str(wanted.out))
    columns = numbered(predictor.answer_columns)
    noun = "question" if num_questions == 1 else "questions"
    with STDERR.status(f"answering {num_questions} {noun}"):
        count = write_answers(out, found, columns=columns, for_spreadsheet=wanted.for_spreadsheet)
    print_written(
        folder,
        {"written": str(out), "questions": num_questions, "answers": count},
        f"{count} answers to {num_questions} {noun} written to {out}",
        as_json=wanted.as_json,
    )


def print_written(
    folder: StagedRun, result: Mapping[str, Any], sentence: str, *, as_json: bool
) -> None:
    """Print what was written to a file, and what the probabilities in it rest on.

    Args:
        folder: The run whose predictions they are.
        result: What was written, as JSON values.
        sentence: The same in words.
        as_json: Whether a JSON object is printed.
    """
    reliability = read_reliability(folder)
    if as_json:
        found = {"run_dir": str(folder.path), "probabilities": reliability.as_json()}
        print_json({**found, **result})
    else:
        print_line(sentence)
        print_reliability(reliability)


def _note_what_lacks(predictor: "Predictor", asked: Asked, *, has_answers: bool) -> str:
    """Say why there are no answers, if there are none; return the id of the entity in question."""
    from model.prediction.questions import Question

    row = predictor.questions.row(Question(*asked))
    entity = predictor.graph.entities[row.entity]
    if not row.relations:
        print_note(_nothing_expected(predictor.wording.entity(entity), asked.head is not None))
    elif not has_answers:
        print_note("no answer is left by --new, --min-probability and what is known to be wrong")
    return entity


def _nothing_expected(entity: str, is_head: bool) -> str:
    end = "head" if is_head else "tail"
    return (
        f"no relation is to be expected of {entity} as {end}: no fact of the graph shows which "
        "entities are like it; --relation asks for one all the same"
    )


def _print_answers(
    asked: Asked, answers: Sequence["Answer"], wording: "Wording", reliability: Reliability
) -> None:
    """Print answers, most probable first, with the weight of each modality."""
    title = f"{asked.head or '?'}  {asked.relation or '?'}  {asked.tail or '?'}"
    marks = [
        (
            probability_of(it, reliability),
            mark_of(it, wording),
            weights(it.modality_weights, MOST_WEIGHTS),
        )
        for it in answers
    ]
    if asked.relation is None:
        columns = ["head", "relation", "tail"]
        cells: list[tuple[str, ...]] = [triple_of(it, wording) for it in answers]
    else:
        has_names = any(it.name != it.entity for it in answers)
        columns = ["name", "id"] if has_names else ["id"]
        cells = [(it.name, it.entity)[not has_names :] for it in answers]
    rows = [(*of_answer, *mark) for of_answer, mark in zip(cells, marks, strict=True)]
    STDOUT.print(table(title, [*columns, "probability", "", "weights"], rows))
    print_reliability(reliability)


def probability_of(answer: "Answer", reliability: Reliability) -> float | str:
    """Return an answer's probability for a table; of a known one, what the dataset states."""
    return answer.probability if answer.known else reliability.shown(answer.probability)


def mark_of(answer: "Answer", wording: "Wording") -> str:
    """Return what the graph says of an answer: `known`, what it contradicts, or nothing."""
    if answer.known:
        return "known"
    facts = "; ".join(wording.fact(*triple) for triple in answer.contradicts)
    return f"contradicts: {facts}" if facts else ""


def triple_of(answer: "Answer", wording: "Wording") -> tuple[str, str, str]:
    """Return head, relation and tail of an answer, ends by name."""
    return wording.entity(answer.head), answer.relation, wording.entity(answer.tail)
