"""The command `relations`: what each relation is like."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.configs.pipeline_config import load_config
from flows.terminal.output import STDERR, STDOUT, print_json, print_line
from mocme.cli.options import AsJson, ConfigFile, Overrides
from mocme.tables import table
from storage.errors import MocmeError
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted

if TYPE_CHECKING:
    from storage.datasets.relation_types.relation_type import RelationType


def relations(
    config: ConfigFile,
    relation: Annotated[
        str | None,
        typer.Option("--relation", metavar="R", help="Show all that is known of this one."),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Say what each relation is like: how many answers it has, what it relates, what it mirrors.

    Learned from the facts of all splits, unless the config's relation_types states it; neither a
    training nor a run is needed. Of few facts nothing is said. Heads and tails are described by
    their kinds or, without kinds, by other facts that nearly all of them have and few others.

    Example:  mocme relations data/demo/mocme.yaml --relation lives_in
    """
    from flows.inputs import read_inputs
    from flows.stages.run_record import RunRecord
    from storage.datasets.relation_types.stated import relation_types

    settings = load_config(config, overrides or ())
    with STDERR.status("reading the dataset"):
        graph = read_inputs(settings, RunRecord()).graph
        found = relation_types(graph, settings.relation_types)
    if relation is not None:
        found = (_one_of(found, relation),)
    if as_json:
        print_json({"relations": [it.to_dict() for it in found]})
    else:
        _print(found, with_details=relation is not None)


def _one_of(types: "tuple[RelationType, ...]", relation: str) -> "RelationType":
    for it in types:
        if it.relation == relation:
            return it
    names = [it.relation for it in types]
    raise MocmeError(
        f"'--relation': found {quoted(relation)}{did_you_mean(relation, names)}; allowed: a "
        "relation of the dataset, as `mocme relations CONFIG` lists them"
    )


def _print(types: "tuple[RelationType, ...]", *, with_details: bool) -> None:
    from storage.datasets.relation_types import rows

    if with_details:
        for it in types:
            STDOUT.print(table(it.relation, rows.DETAILS_HEADER, rows.details_of(it)))
        return
    STDOUT.print(table("Relations", rows.HEADER, rows.rows_of(types)))
    if any(it.stated for it in types):
        print_line(f"{rows.STATED_MARK} stated in the config; all else is learned from the facts")
