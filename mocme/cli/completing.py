"""What a graph lacks: the most probable missing triples, in a file or on a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDERR, STDOUT, print_json, print_note
from mocme.cli.answering import Wanted, print_written
from mocme.exporting.prediction_files import (
    PAGE_SUFFIX,
    check_suffix,
    refuse_for_spreadsheet,
    write_predictions,
)
from mocme.exporting.prior_file import require_predictions
from mocme.prediction_order import Order, in_order
from mocme.reliability import Reliability, print_reliability, read_reliability
from mocme.tables import MOST_WEIGHTS, table, weights

if TYPE_CHECKING:
    from mocme.predictor import Predictor
    from model.prediction.answers import PredictedTriple
    from model.prediction.wording import Wording


def show_missing(folder: StagedRun, relation: str, wanted: Wanted) -> None:
    """Print the k most probable missing triples of a relation.

    Args:
        folder: The run.
        relation: The relation.
        wanted: Which triples are wanted.
    """
    from mocme.predictor import Predictor  # imports torch

    predictor, reliability = Predictor(folder.path), read_reliability(folder)
    with STDERR.status("looking for missing triples"):
        found = list(_missing(predictor, [relation], wanted, wanted.order))
    if wanted.as_json:
        told = {"run_dir": str(folder.path), "probabilities": reliability.as_json()}
        print_json({**told, "triples": [asdict(triple) for triple in found]})
    elif not found:
        print_note("no triple is left by --min-probability and what is known")
    else:
        rows = [_row(it, predictor.wording, reliability) for it in found]
        columns = ["head", "tail", "probability", "known answers", "weights"]
        STDOUT.print(table(f"?  {relation}  ?", columns, rows))
        print_reliability(reliability)


def _row(
    found: "PredictedTriple", wording: "Wording", reliability: Reliability
) -> tuple[object, ...]:
    return (
        wording.entity(found.head),
        wording.entity(found.tail),
        reliability.shown(found.probability),
        ", ".join(map(wording.entity, found.known_answers)),
        weights(found.modality_weights, MOST_WEIGHTS),
    )


def write_missing(
    folder: StagedRun, relation: str | None, out: Path, wanted: Wanted, *, asserts: bool
) -> None:
    """Write the k most probable missing triples of one relation, or of each.

    Args:
        folder: The run.
        relation: The relation; None = each.
        out: The file.
        wanted: Which triples are wanted.
        asserts: Whether N-Triples state them as facts.
    """
    from mocme.predictor import Predictor  # imports torch

    check_suffix(out)
    require_predictions(out)
    is_page = out.suffix == PAGE_SUFFIX
    if is_page:
        refuse_for_spreadsheet(out, wanted.for_spreadsheet)
    predictor = Predictor(folder.path)
    relations = None if relation is None else [relation]
    order = wanted.order or (Order.PROBABLE if is_page else None)
    with STDERR.status("looking for missing triples"):
        triples = _missing(predictor, relations, wanted, order, in_full=is_page)
        if is_page:
            from mocme.report.answers_page import write_page

            count = write_page(out, triples, predictor.wording, folder)
        else:
            count = write_predictions(
                out,
                triples,
                predictor.graph,
                columns=predictor.triple_columns,
                for_spreadsheet=wanted.for_spreadsheet,
                asserts=asserts,
            )
    result = {"written": str(out), "triples": count}
    print_written(folder, result, f"{count} triples written to {out}", as_json=wanted.as_json)


def _missing(
    predictor: "Predictor",
    relations: Sequence[str] | None,
    wanted: Wanted,
    order: Order | None,
    *,
    in_full: bool = False,
) -> Iterable["PredictedTriple"]:
    """Find triples, as they are found or in the order that is wanted."""
    found = predictor.missing_triples(
        relations,
        wanted.k,
        min_probability=wanted.min_probability,
        per_head=wanted.per_head,
        in_full=in_full,
    )
    return found if order is None else in_order(found, order)
