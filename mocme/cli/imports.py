"""The `store import` command: published features, into the store and into a config."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.configs.pipeline_config import load_config
from flows.terminal.output import STDERR, print_json, print_line
from mocme.cli.options import AsJson, ConfigFile
from storage.words.visible import json_text

_PATHS = ("file", "ids")  # of the entry's options


def import_features(
    config: ConfigFile,
    modality: Annotated[
        str, typer.Argument(metavar="MODALITY", help="Name of the modality they become.")
    ],
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help=".npy, .npz, .safetensors, .pth, .pt or .h5 file."),
    ],
    ids: Annotated[
        Path | None,
        typer.Option(
            metavar="IDS.txt",
            help="Entity ids in the order of the rows, one a line; or an entity2id.txt.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Name of the matrix in a file that holds several arrays.")
    ] = None,
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="Leave out ids that are no entity's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take published features into the store, and print the config entry that refers to them.

    The file is one matrix of N rows with a list of N ids, or a vector by id. What `mocme extract`
    does with that entry is the same; here it is checked before the entry is in the config.

    Example:  mocme store import run.yaml image DB15K-visual.pth --ids entity2id.txt
    """
    given = {
        "extractor": "imported",
        "file": str(file.absolute()),
        "ids": None if ids is None else str(ids.absolute()),
        "key": key,
        "ignore_unknown": ignore_unknown or None,
    }
    entry = {name: value for name, value in given.items() if value is not None}
    counts = _extract(config, modality, entry)
    relative = {**entry, **{name: _beside(config, entry[name]) for name in entry if name in _PATHS}}
    if as_json:
        print_json({"imported": {modality: counts}, "entry": {modality: relative}})
        return
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    line = f"  {modality}: {json_text(relative)}"
    for text in (f"{modality}: {told}", f"refer to them in {config}, below `modalities`:", line):
        print_line(text)


def _extract(config: Path, modality: str, entry: dict[str, Any]) -> dict[str, int]:
    """Extract with an entry as if it were in the config; return the counts."""
    from extractors.extraction import extract_modality
    from flows.inputs import plan_modality, read_inputs
    from flows.stages.run_record import RunRecord

    settings = load_config(config, [f"modalities.{modality}={json_text(entry)}"])
    plan = plan_modality(settings, modality)
    with STDERR.status(f"importing {entry['file']}"):
        dataset = read_inputs(settings, RunRecord())
        found = extract_modality(dataset, plan, settings.store, settings.extract)
    return asdict(found.counts)


def _beside(config: Path, path: object) -> str:
    """Return a path as a config beside it would name it."""
    return os.path.relpath(str(path), config.absolute().parent)
