"""The `predict` command: a question to a run's model, or the whole prediction stage."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDERR, STDOUT, print_json, print_line
from mocme.cli.flow_runs import run_flow
from mocme.cli.options import AsJson, MaybeConfigFile, Overrides, RunDir, Verbose, find_run
from mocme.cli.reasons import find_media, print_reasons
from mocme.exporting.prediction_files import check_suffix, write_predictions
from mocme.exporting.prior_file import require_predictions
from mocme.tables import table, weights

if TYPE_CHECKING:
    from model.prediction.answers import Answer

_COMPLETED = Path("predictions.csv")  # needs no further package, as .parquet does


def predict(
    config: MaybeConfigFile = None,
    head: Annotated[
        str | None, typer.Option(metavar="X", help="Id or name of the head; asks for tails.")
    ] = None,
    relation: Annotated[str | None, typer.Option(metavar="R", help="The relation.")] = None,
    tail: Annotated[
        str | None, typer.Option(metavar="Y", help="Id or name of the tail; asks for heads.")
    ] = None,
    k: Annotated[
        int, typer.Option("-k", min=1, help="Number of answers; with --out, of each relation.")
    ] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the most probable missing triples of --relation, or of all relations: "
            ".csv, .tsv, .jsonl, .parquet or .nt (N-Triples).",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help=f"Complete all relations; without --out to {_COMPLETED}."),
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="In --out's .csv or .tsv, put an apostrophe before text that begins a formula.",
        ),
    ] = False,
    asserts: Annotated[
        bool,
        typer.Option(
            "--assert",
            help="In --out's .nt, state each triple as a fact, beside the statement about it.",
        ),
    ] = False,
    why: Annotated[
        bool,
        typer.Option("--why", help="Add to each answer the known facts most like it, and media."),
    ] = False,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Ask a trained model, or complete the graph.

    A question is --relation with --head or --tail. It goes to the run in --run DIR, else to the
    newest run of CONFIG, else to the newest below data/runs. CONFIG alone writes the most probable
    missing triples of every relation to the run's predictions.tsv; --all or --out FILE writes them
    to a file of your own, as many as you like. An older file of predictions is replaced, no other.

    Example:  mocme predict data/demo/mocme.yaml --head thing-0001 --relation lives_in -k 5
    """
    is_question = head is not None or tail is not None
    if asserts and (out is None or out.suffix != ".nt"):
        raise typer.BadParameter("--assert is for --out FILE.nt")
    if everything and relation is not None:
        raise typer.BadParameter("--all completes all relations; give it without --relation")
    if everything or out is not None:
        if why or is_question:
            raise typer.BadParameter(
                "--all and --out complete relations; give them without --head, --tail and --why"
            )
        folder = find_run(config, run_dir, overrides)
        form = {"for_spreadsheet": spreadsheet_safe, "asserts": asserts}
        _complete(folder.path, relation, k, out or _COMPLETED, form, as_json=as_json)
    elif spreadsheet_safe:
        raise typer.BadParameter("--spreadsheet-safe is for --out or --all")
    elif relation is None and not is_question:
        if config is None or run_dir is not None or why:
            raise typer.BadParameter(
                "give CONFIG alone, or a question: --relation with --head or --tail"
            )
        run_flow("predict", config, overrides or (), as_json=as_json, verbose=verbose)
    elif relation is None or (head is None) == (tail is None):
        raise typer.BadParameter("a question is --relation with either --head or --tail")
    else:
        folder = find_run(config, run_dir, overrides)
        _answer(folder, head, relation, tail, k, why=why, as_json=as_json)


def _answer(
    folder: StagedRun,
    head: str | None,
    relation: str,
    tail: str | None,
    k: int,
    *,
    why: bool,
    as_json: bool,
) -> None:
    """Ask one question and print the answers."""
    from model.prediction.names import find_entity
    from model.prediction.predictor import Predictor  # imports torch

    predictor = Predictor(folder.path)
    answers = predictor.answers(head=head, relation=relation, tail=tail, k=k)
    named, part = (head, "head") if head is not None else (str(tail), "tail")
    asker = find_entity(predictor.graph, named, part)
    media = find_media(folder, [asker, *(it.entity for it in answers)]) if why else {}
    if as_json:
        found = {"run_dir": str(folder.path), "answers": [asdict(answer) for answer in answers]}
        print_json({**found, "media": media} if why else found)
        return
    _print_answers(f"{head or '?'}  {relation}  {tail or '?'}", answers)
    if why:
        print_reasons(relation, asker, answers, media)


def _complete(
    run_dir: Path,
    relation: str | None,
    k: int,
    out: Path,
    form: Mapping[str, bool],
    *,
    as_json: bool,
) -> None:
    """Write the k most probable missing triples of one relation, or of each."""
    from model.prediction.predictor import Predictor  # imports torch

    check_suffix(out)
    require_predictions(out)
    predictor = Predictor(run_dir)
    relations = None if relation is None else [relation]
    with STDERR.status("looking for missing triples"):
        triples = predictor.missing_triples(relations, k)
        count = write_predictions(out, triples, predictor.graph, **form)
    if as_json:
        print_json({"run_dir": str(run_dir), "written": str(out), "triples": count})
    else:
        print_line(f"{count} triples written to {out}")


def _print_answers(question: str, answers: Iterable["Answer"]) -> None:
    """Print answers, most probable first, with the weight of each modality."""
    columns = ["name", "id", "probability", "", "weights"]
    rows = [
        (
            answer.name,
            answer.entity,
            answer.probability,
            "known" if answer.known else "",
            weights(answer.modality_weights),
        )
        for answer in answers
    ]
    STDOUT.print(table(question, columns, rows))
