"""The `store export` command: stored features to a file that other programs read."""

from pathlib import Path
from typing import Annotated

import typer

from flows.configs.pipeline_config import load_config
from flows.terminal.output import STDERR, print_json, print_line
from mocme.cli.options import AsJson, ConfigFile, Overrides


def export_features(
    config: ConfigFile,
    modality: Annotated[str, typer.Argument(metavar="MODALITY", help="One of the config's.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".npy, .safetensors or .parquet.")],
    per_item: Annotated[
        bool, typer.Option("--items", help="A row for each item; by default one for each entity.")
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write stored features by entity id, for other programs.

    One row for each entity that has any: the mean of its items. With --items, one row for each
    item in the order in which the entity lists them, its id repeated. Rows are in entity order;
    beside .npy and .safetensors, OUT.ids.txt holds their ids, one a line. `store import` reads both
    back. Nothing is extracted.

    Example:  mocme store export data/demo/mocme.yaml image data/demo/image.npy
    """
    from mocme.exporting.feature_export import require_no_input, stored_features
    from storage.features.export import check_suffix, mean_by_entity, write_features

    check_suffix(out)
    settings = load_config(config, overrides or ())
    require_no_input(out, settings)
    with STDERR.status(f"exporting {modality}"):
        features, preview = stored_features(settings, modality)
        exported = features if per_item else mean_by_entity(features)
        files = write_features(out, exported)
    num_rows, dim = exported.rows.shape
    left_out = {"not_extracted": preview.counts.new, "failed": preview.counts.failed}
    if as_json:
        written = {"files": list(map(str, files)), "rows": num_rows, "dim": dim}
        print_json({**written, "dtype": str(exported.rows.dtype), "left_out": left_out})
        return
    lines = [f"{num_rows} rows of {dim} numbers: {', '.join(map(str, files))}"]
    if any(left_out.values()):
        counts = preview.counts
        lines.append(f"left out: {counts.new} items not extracted yet, {counts.failed} failed")
    for line in lines:
        print_line(line)
