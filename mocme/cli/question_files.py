"""Answering a file of questions, thousands at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDERR, STDOUT, print_json, print_note
from mocme.absent_names import explained
from mocme.cli.answering import (
    Wanted,
    check_out,
    mark_of,
    probability_of,
    triple_of,
    write_found,
)
from mocme.cli.options import ASKED_RUN
from mocme.questions_file import LineOfQuestion, check_question_suffix, read_questions
from mocme.reliability import print_reliability, read_reliability
from mocme.tables import table

if TYPE_CHECKING:
    from mocme.predictor import Predictor
    from model.prediction.answers import Answer, NumberedAnswer
    from model.prediction.wording import Wording

_Answered = Iterable[tuple[LineOfQuestion, "list[Answer]"]]


def answer_file(folder: StagedRun, file: Path, wanted: Wanted, *, evidence: bool) -> None:
    """Answer the questions of a file, and write the answers to another one or print them.

    Args:
        folder: The run.
        file: The questions.
        wanted: Which answers are wanted of each.
        evidence: Whether nearest facts and rules are looked for.
    """
    from mocme.predictor import Predictor  # imports torch

    check_question_suffix(file)
    check_out(wanted.out)
    predictor = Predictor(folder.path)
    questions = read_questions(
        file, predictor.questions, explain=lambda error: explained(error, ASKED_RUN.get())
    )
    _note_unexpected(questions, predictor)
    asked = (it.question for it in questions)
    answered = predictor.answers_to(asked, **wanted.limits, evidence=evidence)
    found = zip(questions, (answers for _, answers in answered), strict=True)
    if wanted.out is not None:
        write_found(_numbered(found), len(questions), predictor, folder, wanted)
        return
    with STDERR.status(f"answering {len(questions)} questions"):
        all_found = list(found)
    _show(all_found, folder, predictor.wording, as_json=wanted.as_json)


def _note_unexpected(questions: Sequence[LineOfQuestion], predictor: "Predictor") -> None:
    """Say how many questions name no relation and have none to be expected."""
    lines = [it.line for it in questions if not predictor.questions.row(it.question).relations]
    if lines:
        count = "1 question" if len(lines) == 1 else f"{len(lines)} questions"
        print_note(
            f"no answers to {count} without a relation, about entities of which no relation is to "
            f"be expected; the first is in line {lines[0]}"
        )


def _numbered(found: _Answered) -> Iterator["NumberedAnswer"]:
    from model.prediction.answers import NumberedAnswer

    return (NumberedAnswer(it.line, answer) for it, answers in found for answer in answers)


def _show(found: _Answered, folder: StagedRun, wording: "Wording", *, as_json: bool) -> None:
    """Print all answers: a JSON object, or one table."""
    reliability = read_reliability(folder)
    if as_json:
        questions = [
            {
                "question": it.line,
                **asdict(it.question),
                "answers": [asdict(answer) for answer in answers],
            }
            for it, answers in found
        ]
        told = {"run_dir": str(folder.path), "probabilities": reliability.as_json()}
        print_json({**told, "questions": questions})
        return
    rows = [
        (
            it.line,
            *triple_of(answer, wording),
            probability_of(answer, reliability),
            mark_of(answer, wording),
        )
        for it, answers in found
        for answer in answers
    ]
    STDOUT.print(table("answers", ["line", "head", "relation", "tail", "probability", ""], rows))
    print_reliability(reliability)
