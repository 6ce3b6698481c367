"""What a graph lacks: the most probable missing triples, in a file or on a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from flows.terminal.output import STDERR, STDOUT, print_json, print_line, print_note
from mocme.cli.answering import Wanted
from mocme.exporting.prediction_files import check_suffix, write_predictions
from mocme.exporting.prior_file import require_predictions
from mocme.tables import MOST_WEIGHTS, table, weights

if TYPE_CHECKING:
    from mocme.predictor import Predictor
    from model.prediction.answers import PredictedTriple


def show_missing(run_dir: Path, relation: str, wanted: Wanted) -> None:
    """Print the k most probable missing triples of a relation.

    Args:
        run_dir: The run's folder.
        relation: The relation.
        wanted: Which triples are wanted.
    """
    from mocme.predictor import Predictor  # imports torch

    predictor = Predictor(run_dir)
    with STDERR.status("looking for missing triples"):
        found = list(_missing(predictor, [relation], wanted))
    if wanted.as_json:
        print_json({"run_dir": str(run_dir), "triples": [asdict(triple) for triple in found]})
    elif not found:
        print_note("no triple is left by --min-probability and what is known")
    else:
        name = predictor.wording.entity
        rows = [
            (
                name(it.head),
                name(it.tail),
                it.probability,
                weights(it.modality_weights, MOST_WEIGHTS),
            )
            for it in found
        ]
        columns = ["head", "tail", "probability", "weights"]
        STDOUT.print(table(f"?  {relation}  ?", columns, rows))


def write_missing(
    run_dir: Path, relation: str | None, out: Path, wanted: Wanted, *, asserts: bool
) -> None:
    """Write the k most probable missing triples of one relation, or of each.

    Args:
        run_dir: The run's folder.
        relation: The relation; None = each.
        out: The file.
        wanted: Which triples are wanted.
        asserts: Whether N-Triples state them as facts.
    """
    from mocme.predictor import Predictor  # imports torch

    check_suffix(out)
    require_predictions(out)
    predictor = Predictor(run_dir)
    relations = None if relation is None else [relation]
    with STDERR.status("looking for missing triples"):
        triples = _missing(predictor, relations, wanted)
        count = write_predictions(
            out,
            triples,
            predictor.graph,
            columns=predictor.triple_columns,
            for_spreadsheet=wanted.for_spreadsheet,
            asserts=asserts,
        )
    if wanted.as_json:
        print_json({"run_dir": str(run_dir), "written": str(out), "triples": count})
    else:
        print_line(f"{count} triples written to {out}")


def _missing(
    predictor: "Predictor", relations: Sequence[str] | None, wanted: Wanted
) -> Iterator["PredictedTriple"]:
    return predictor.missing_triples(
        relations,
        wanted.k,
        min_probability=wanted.min_probability,
        per_head=wanted.per_head,
    )
