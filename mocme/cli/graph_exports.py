"""The `export` commands: what a run has learned, for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.stages.run_source import find_source
from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDERR, print_json, print_line, print_note
from mocme.cli.options import AsJson, MaybeConfigFile, Overrides, RunDir, find_run

if TYPE_CHECKING:
    from mocme.exporting.entity_content import EntityContent

app = typer.Typer(help="What a run has learned, for other programs.", no_args_is_help=True)

NumPredicted = Annotated[int, typer.Option("-k", min=1, help="Predicted triples of each relation.")]
_MOST_RENAMED = 5  # names that a note lists


@app.command("neo4j")
def neo4j(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="For the two files.")],
    config: MaybeConfigFile = None,
    k: NumPredicted = 10,
    asserts: Annotated[
        bool,
        typer.Option(
            "--assert",
            help="Give predicted triples the type of their relation, as facts have it.",
        ),
    ] = False,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the graph and its most probable missing triples for Neo4j.

    FOLDER gets nodes.csv, with kinds, texts, numbers and paths of media, and relationships.csv.
    The command for neo4j-admin that reads them is printed. Predicted triples are relationships of
    the type PREDICTED, with the property relation, unless --assert is given.

    Example:  mocme export neo4j data/neo4j data/demo/mocme.yaml -k 100
    """
    from mocme.exporting.neo4j import import_command, write_graph
    from mocme.exporting.neo4j_nodes import NodeTable
    from mocme.predictor import Predictor  # imports torch

    run = find_run(config, run_dir, overrides)
    predictor = Predictor(run.path)
    nodes = NodeTable(predictor.graph, _content(run))
    with STDERR.status("looking for missing triples"):
        triples = predictor.missing_triples(k=k)
        count = write_graph(out, predictor.graph, triples, nodes, asserts=asserts)
    _print_renamed(nodes.renamed)
    if as_json:
        print_json({"written": str(out), "predicted": count})
    else:
        print_line(f"the graph and {count} predicted triples written to {out}")
    print_note(f"read them with: {import_command(out, nodes.array_delimiter)}")


def _print_renamed(renamed: dict[str, str]) -> None:
    """Say which fields, attributes and kinds have other names in Neo4j."""
    if renamed:
        shown = ", ".join(f"{it!r} is {renamed[it]}" for it in list(renamed)[:_MOST_RENAMED])
        more = f" and {len(renamed) - _MOST_RENAMED} more" * (len(renamed) > _MOST_RENAMED)
        print_note(f"names that Neo4j cannot have: {shown}{more}")


def _content(run: StagedRun) -> "EntityContent":
    """Return what a run's entities list; nothing, and a note says why, if the dataset is gone."""
    from mocme.exporting.entity_content import EntityContent, content_of

    source = find_source(run)
    if source.config is None or source.dataset is None:
        print_note(f"no texts, numbers and media: {source.problem}")
        return EntityContent()
    return content_of(source.config, source.dataset)


@app.command("ntriples")
def ntriples(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The file: .nt.")],
    config: MaybeConfigFile = None,
    k: NumPredicted = 10,
    asserts: Annotated[
        bool,
        typer.Option("--assert", help="State predicted triples as facts, beside their statements."),
    ] = False,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the graph and its most probable missing triples as N-Triples (RDF).

    Entities have their names, kinds, texts, numbers and media. Known triples are facts; each
    predicted one is an rdf:Statement with its probability, and a fact only with --assert. An older
    file of this command is replaced, no other.

    Example:  mocme export ntriples data/graph.nt data/demo/mocme.yaml -k 100
    """
    from mocme.exporting.graph_n_triples import check_place, write_graph
    from mocme.predictor import Predictor  # imports torch

    check_place(out)
    run = find_run(config, run_dir, overrides)
    predictor, content = Predictor(run.path), _content(run)
    with STDERR.status("looking for missing triples"):
        triples = predictor.missing_triples(k=k)
        count = write_graph(out, predictor.graph, triples, content, asserts=asserts)
    if as_json:
        print_json({"written": str(out), "predicted": count})
    else:
        print_line(f"the graph and {count} predicted triples written to {out}")


@app.command("embeddings")
def embeddings(
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".npy, .safetensors or .parquet.")],
    config: MaybeConfigFile = None,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the entities' embeddings, a row each.

    A row holds those of all blocks of the model side by side; what is where is printed. Beside
    .npy and .safetensors, OUT.ids.txt holds the entities' ids, one a line.

    Example:  mocme export embeddings data/entities.npy data/demo/mocme.yaml
    """
    from mocme.exporting.feature_export import require_no_input
    from model.runs.run_folder import RunFolder  # imports torch
    from storage.features.export import ExportedFeatures, check_suffix, write_features

    check_suffix(out)
    run = find_run(config, run_dir, overrides)
    require_no_input(out, run.config())
    folder = RunFolder(run.path).answering
    rows, columns = folder.read_scoring().entity_rows()
    entities = folder.read_graph().entities
    files = write_features(out, ExportedFeatures(entities, rows.numpy()))
    if as_json:
        print_json({"files": list(map(str, files)), "rows": len(rows), "columns": columns})
        return
    print_line(f"{len(rows)} rows of {rows.shape[1]} numbers: {', '.join(map(str, files))}")
    for name, (first, last) in columns.items():
        print_line(f"columns {first} to {last - 1}: {name}")
