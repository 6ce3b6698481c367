"""Commands about datasets: `sample`, `audit`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.terminal.output import STDOUT, print_json, print_line
from mocme.cli.options import AsJson
from mocme.tables import table

if TYPE_CHECKING:
    from extractors.inspection.media_audit import MediaAudit
    from storage.datasets.dataset import Dataset
    from storage.datasets.reading.unknown import UnknownNamesError
    from storage.datasets.relation_types.statement import Statements

_MOST_NAMED = 5  # entities

_MOST_ROWS = 20  # of a table of pairs or of triples

_CONFIG_SUFFIXES = (".yaml", ".yml")


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
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Dataset or OpenKE folder, or a config (.yaml), whose is meant."
        ),
    ],
    as_json: AsJson = False,
    clean_dir: Annotated[
        Path | None,
        typer.Option("--write-clean", metavar="DIR", help="Write the dataset with clean splits."),
    ] = None,
    media: Annotated[
        bool,
        typer.Option("--media", help="Look for files that would fail, too; nothing is decoded."),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Config of a folder's dataset: what its relation_types states is compared with "
            "the facts, and with --media, its modalities say which fields hold files; by default "
            "those do whose values look like paths.",
        ),
    ] = None,
) -> None:
    """Look for what makes metrics misleading, and for media that would fail.

    Duplicates, leaks between splits, entities and relations unseen in training, and ids that look
    alike and are not the same: of other normalisation, white space, width or hidden characters.
    Negatives that a split states to be true; relations and fields that may be misspelt; files of
    the folder that are not read. Names that no entity or relation has are all listed, and then the
    exit code is 2. With a config: facts against what its relation_types states.
    With --media: files that are absent, lead out of the folder, are empty or of a format that is
    not read, and entities without facts or without media.

    Example:  mocme audit data/demo --media --write-clean data/demo-clean
    """
    from storage.datasets.clean import write_clean
    from storage.datasets.reading.unknown import UnknownNamesError

    settings = _config_of(path, config)
    try:
        dataset = _read(path, settings)
    except UnknownNamesError as error:
        _print_unknown(error, as_json)
        raise
    found_media = _audit_media(dataset, settings) if media else None
    if clean_dir is not None:
        write_clean(dataset, clean_dir)
    stated = {} if settings is None else settings.relation_types
    _print_findings(dataset, stated, found_media, as_json)
    if clean_dir is not None and not as_json:
        print_line(f"clean splits written to {clean_dir}")


def _print_findings(
    dataset: "Dataset", stated: "Statements", media: "MediaAudit | None", as_json: bool
) -> None:
    """Look through a dataset's graph, names and files, and print what was found."""
    from storage.datasets import alike, contradictions, rare_names
    from storage.datasets.audit import RELATION_HEADER, SUMMARY_HEADER, audit
    from storage.datasets.relation_types import violations
    from storage.datasets.unread import unread_files

    found, unread = audit(dataset.graph), unread_files(dataset)
    lookalikes = alike.find_lookalikes(dataset.graph)
    contradicted = contradictions.find_contradictions(dataset.graph)
    against = violations.find_violations(dataset.graph, stated)
    rare = rare_names.find_rare_names(dataset)
    if as_json:
        named = {
            "lookalikes": lookalikes,
            "unknown": [],
            "further": list(dataset.further.read),
            "not_read": unread,
            "contradictions": [it.to_dict() for it in contradicted],
            "violations": [it.to_dict() for it in against],
            "rare": [it.to_dict() for it in rare],
        }
        also = {} if media is None else {"media": media.to_dict()}
        print_json({**found.to_dict(), **named, **also})
        return
    STDOUT.print(table("Splits", SUMMARY_HEADER, found.summary_rows()))
    STDOUT.print(table("Relations", RELATION_HEADER, found.relation_rows()))
    pairs, both = alike.rows_of(lookalikes), contradictions.rows_of(contradicted)
    _print_first("Look alike and are not the same", alike.HEADER, pairs)
    _print_first("Stated to be true and to be wrong", contradictions.HEADER, both)
    violated = violations.rows_of(against)
    _print_first("Against what is stated of relations", violations.HEADER, violated)
    _print_first("Rare and almost as a common one", rare_names.HEADER, rare_names.rows_of(rare))
    for name in dataset.further.read:
        print_line(f"adds fields to entities: {name}")
    for name, reason in unread.items():
        print_line(f"not read: {name} ({reason})")
    if media is not None:
        _print_media(media)


def _print_first(title: str, header: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    """Print the first rows of a table that may be long; nothing if there are none."""
    if rows:
        first = rows[:_MOST_ROWS]
        STDOUT.print(table(f"{title}: {len(first)} of {len(rows)}", header, first))


def _print_unknown(error: "UnknownNamesError", as_json: bool) -> None:
    from storage.datasets.reading.unknown import HEADER, rows_of

    names = error.to_list()
    if as_json:
        lines = {"unknown_lines": error.num_lines, "has_more": error.has_more}
        print_json({"error": str(error), "unknown": names, **lines})
        return
    more = "the first " * error.has_more
    title = f"Unknown names: {more}{len(names):,}, in {error.num_lines:,} lines"
    STDOUT.print(table(title, HEADER, rows_of(names)))


def _config_of(path: Path, config: Path | None) -> PipelineConfig | None:
    """Return the config that an audit was given, by itself or beside a folder."""
    if _is_config(path) and config is not None:
        raise typer.BadParameter("PATH is a config; give --config beside a folder")
    given = path if _is_config(path) else config
    return None if given is None else load_config(given)


def _is_config(path: Path) -> bool:
    return path.suffix in _CONFIG_SUFFIXES and not path.is_dir()


def _read(path: Path, config: PipelineConfig | None) -> "Dataset":
    """Read the dataset of an audit, split as its config says, if there is one."""
    from storage.datasets.dataset import read_dataset

    if config is None:
        return read_dataset(path)
    return read_dataset(config.dataset if _is_config(path) else path, config.split_salt)


def _audit_media(dataset: "Dataset", config: PipelineConfig | None) -> "MediaAudit":
    from extractors.inspection.media_audit import audit_media
    from extractors.registry import load_extractor_class

    if config is None:
        return audit_media(dataset)
    kinds: dict[str, set[str]] = {}
    for name, entry in config.modalities.items():
        extractor = load_extractor_class(entry.extractor)
        if extractor.item_kind == "file":
            for field in config.fields_of(name):
                kinds.setdefault(field, set()).add(extractor.modality)
    return audit_media(dataset, kinds)


def _print_media(found: "MediaAudit") -> None:
    from extractors.inspection.media_audit import FIELDS_HEADER, PROBLEMS_HEADER

    STDOUT.print(table("Media", FIELDS_HEADER, found.field_rows()))
    problems = list(found.problem_rows())
    if problems:
        STDOUT.print(table("Items that would fail", PROBLEMS_HEADER, problems))
    for what, ids in (("facts", found.without_facts), ("media", found.without_media)):
        first = f": {', '.join(ids[:_MOST_NAMED])}{', ...' * (len(ids) > _MOST_NAMED)}"
        print_line(f"{len(ids)} entities without {what}{first if ids else ''}")
