"""The `export` commands: what a run has learned, for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from flows.terminal.output import STDERR, print_json, print_line
from mocme.cli.options import AsJson, MaybeConfigFile, Overrides, RunDir, find_run

app = typer.Typer(help="What a run has learned, for other programs.", no_args_is_help=True)


@app.command("neo4j")
def neo4j(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="For the two files.")],
    config: MaybeConfigFile = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Predicted triples of each relation.")] = 10,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the graph and its most probable missing triples for Neo4j.

    FOLDER gets nodes.csv and relationships.csv, which `neo4j-admin database import full
    --nodes=nodes.csv --relationships=relationships.csv` reads.

    Example:  mocme export neo4j data/neo4j data/demo/mocme.yaml -k 100
    """
    from mocme.exporting.neo4j import write_graph
    from model.prediction.predictor import Predictor  # imports torch

    predictor = Predictor(find_run(config, run_dir, overrides).path)
    with STDERR.status("looking for missing triples"):
        count = write_graph(out, predictor.graph, predictor.missing_triples(k=k))
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
    folder = RunFolder(run.path)
    rows, columns = folder.read_scoring().entity_rows()
    entities = folder.read_graph().entities
    files = write_features(out, ExportedFeatures(entities, rows.numpy()))
    if as_json:
        print_json({"files": list(map(str, files)), "rows": len(rows), "columns": columns})
        return
    print_line(f"{len(rows)} rows of {rows.shape[1]} numbers: {', '.join(map(str, files))}")
    for name, (first, last) in columns.items():
        print_line(f"columns {first} to {last - 1}: {name}")
