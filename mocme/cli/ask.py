"""The `predict` command: a question to a run's model, or the whole prediction stage."""

from pathlib import Path
from typing import Annotated

import typer

from mocme.cli.answering import Asked, Wanted, answer_question
from mocme.cli.completing import show_missing, write_missing
from mocme.cli.flow_runs import run_flow
from mocme.cli.options import AsJson, MaybeConfigFile, Overrides, RunDir, Verbose, find_run
from mocme.cli.question_files import answer_file
from mocme.prediction_order import Order

_NUM_ANSWERS = 10
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
        int | None,
        typer.Option(
            "-k",
            min=1,
            help="Number of answers, or, of a completed graph, of triples of each relation.  "
            f"[default: {_NUM_ANSWERS}]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the answers to a question or to --questions, else the most probable "
            "missing triples of --relation or of all relations: .csv, .tsv, .jsonl, .parquet, and "
            "missing triples as .nt (N-Triples) or as a page for people, .html.",
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
    questions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Answer every question of a .jsonl, .csv or .tsv file with the fields head, "
            "relation, tail, one of the ends empty; to --out, or as a table or --json.",
        ),
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Leave out answers that the graph holds already.")
    ] = False,
    min_probability: Annotated[
        float,
        typer.Option(metavar="P", min=0, max=1, help="Leave out what is less probable."),
    ] = 0.0,
    per_head: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="At most N triples of one head and one relation."),
    ] = None,
    order: Annotated[
        Order | None,
        typer.Option(
            help="Order of missing triples: the most probable first, or those nearest to 1/2, of "
            "which a decision tells most; without it, relation after relation.",
            show_default=False,
        ),
    ] = None,
    no_evidence: Annotated[
        bool,
        typer.Option(
            "--no-evidence", help="With --questions, look for no nearest facts and rules: faster."
        ),
    ] = False,
    why: Annotated[
        bool,
        typer.Option(
            "--why", help="Add to each answer the known facts most like it, the rule, and media."
        ),
    ] = False,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Ask a trained model, or complete the graph.

    A question is --head or --tail, with --relation or for all relations that entities like it have.
    --relation alone asks for its most probable missing triples, --questions FILE asks thousands.
    They go to the run in --run DIR, else to the newest run of CONFIG, else to the newest below
    data/runs. CONFIG alone writes the most probable missing triples of every relation to the run's
    predictions.tsv; --all or --out FILE writes them to a file of your own, as many as you like.
    With a question, --out FILE gets its answers. Only an older file of predictions is replaced.

    Example:  mocme predict data/demo/mocme.yaml --head bebolun --new --min-probability 0.5
    """
    is_question = head is not None or tail is not None
    wanted = Wanted(
        k or _NUM_ANSWERS, new, min_probability, per_head, out, spreadsheet_safe, as_json, order
    )
    if no_evidence and questions is None:
        raise typer.BadParameter("--no-evidence is for --questions")
    if order is not None and (is_question or questions is not None):
        raise typer.BadParameter(
            "--order is for missing triples, --relation alone, --all or --out; the answers to a "
            "question come with the most probable first"
        )
    _check_form(_COMPLETED if everything and out is None else out, spreadsheet_safe, asserts)
    if questions is not None:
        if is_question or relation is not None or everything or why:
            raise typer.BadParameter(
                "--questions asks what its file says; give it without --head, --relation, --tail, "
                "--all and --why"
            )
        folder = find_run(config, run_dir, overrides)
        answer_file(folder, questions, wanted, evidence=not no_evidence)
    elif is_question:
        asked = Asked(head, relation, tail)
        _check_question(asked, everything=everything, is_to_file=out is not None, why=why)
        answer_question(find_run(config, run_dir, overrides), asked, wanted, why=why)
    elif everything or out is not None:
        _check_completion(relation, everything=everything, why=why)
        folder = find_run(config, run_dir, overrides)
        write_missing(folder, relation, out or _COMPLETED, wanted, asserts=asserts)
    elif relation is not None:
        _check_completion(relation, everything=everything, why=why)
        show_missing(find_run(config, run_dir, overrides), relation, wanted)
    else:
        if wanted.has_limits or k is not None or order is not None:
            raise typer.BadParameter(
                "-k, --new, --min-probability, --per-head and --order are for questions, --all and "
                "--out; CONFIG alone takes --set predict.k=N"
            )
        if config is None or run_dir is not None or why:
            raise typer.BadParameter(
                "give CONFIG alone, or a question: --head, --tail or --relation, or two of them"
            )
        run_flow("predict", config, overrides or (), as_json=as_json, verbose=verbose)


def _check_form(out: Path | None, for_spreadsheet: bool, asserts: bool) -> None:
    """Refuse options on the form of a file where there is none, or one of another form."""
    if for_spreadsheet and out is None:
        raise typer.BadParameter("--spreadsheet-safe is for --out or --all")
    if asserts and (out is None or out.suffix != ".nt"):
        raise typer.BadParameter("--assert is for --out FILE.nt")


def _check_question(asked: Asked, *, everything: bool, is_to_file: bool, why: bool) -> None:
    if asked.head is not None and asked.tail is not None:
        raise typer.BadParameter("a question is either --head or --tail, not both")
    if everything:
        raise typer.BadParameter(
            "--all completes all relations; give it without --head and --tail, which ask for all "
            "relations without --relation"
        )
    if is_to_file and why:
        raise typer.BadParameter(
            "--why prints; give it without --out, whose files have the nearest fact and the rule "
            "of each answer"
        )


def _check_completion(relation: str | None, *, everything: bool, why: bool) -> None:
    if everything and relation is not None:
        raise typer.BadParameter("--all completes all relations; give it without --relation")
    if why:
        raise typer.BadParameter(
            "--why is for a question, --head or --tail; files have the nearest fact and the rule "
            "of each triple"
        )
