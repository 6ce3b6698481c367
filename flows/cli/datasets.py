"""Commands about datasets: `sample`, `audit`."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import STDOUT, print_json, print_line, table
from flows.cli.options import AsJson

_MOST_ALIKE = 20  # pairs in the table


def sample(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the invented world.")] = 0,
    num_things: Annotated[int, typer.Option("--things", help="Number of invented things.")] = 600,
) -> None:
    """Write a small multi-modal graph.

    Rendered pictures, synthesised sounds, encoded clips, texts, numbers, and planted facts.

    Example:  mocme sample data/demo
    """
    from extractors.sample import write_sample

    written = write_sample(directory, seed, num_things)
    items = ", ".join(f"{count} {modality}" for modality, count in written.num_items.items())
    triples = ", ".join(f"{count} {split}" for split, count in written.num_triples.items())
    size = f"({written.num_broken} broken on purpose); {written.num_bytes / 1e6:.1f} MB"
    print_line(f"{written.num_entities} entities; triples: {triples}")
    print_line(f"items: {items} {size}")
    print_line(f"what is planted: {directory / 'FACTS.md'}")
    print_line(f"next: mocme run {written.config}")


def audit(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Dataset or OpenKE folder.")],
    as_json: AsJson = False,
    clean_dir: Annotated[
        Path | None,
        typer.Option("--write-clean", metavar="DIR", help="Write the dataset with clean splits."),
    ] = None,
) -> None:
    """Look for what makes metrics misleading.

    Duplicates, leaks between splits, entities and relations unseen in training, and ids that look
    alike and are not the same: of other normalisation, white space, width or hidden characters.

    Example:  mocme audit data/demo --write-clean data/demo-clean
    """
    from storage.datasets.audit import LOOKALIKE_HEADER, RELATION_HEADER, SUMMARY_HEADER
    from storage.datasets.audit import audit as audit_graph
    from storage.datasets.clean import write_clean
    from storage.datasets.dataset import read_dataset

    dataset = read_dataset(path)
    found = audit_graph(dataset.graph)
    if clean_dir is not None:
        write_clean(dataset, clean_dir)
    if as_json:
        print_json(found.to_dict())
        return
    STDOUT.print(table("Splits", SUMMARY_HEADER, found.summary_rows()))
    STDOUT.print(table("Relations", RELATION_HEADER, found.relation_rows()))
    if alike := found.lookalike_rows():
        title = f"Look alike and are not the same: {min(len(alike), _MOST_ALIKE)} of {len(alike)}"
        STDOUT.print(table(title, LOOKALIKE_HEADER, alike[:_MOST_ALIKE]))
    if clean_dir is not None:
        print_line(f"clean splits written to {clean_dir}")
