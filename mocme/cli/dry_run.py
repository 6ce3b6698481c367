"""What `extract --dry-run` prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from flows.configs.pipeline_config import load_config
from flows.inputs import read_inputs
from flows.stages.run_record import RunRecord
from flows.terminal.output import STDERR, STDOUT, print_json, print_warnings
from mocme.dry_run import DryRun, dry_run
from mocme.tables import table

_COLUMNS = ["modality", "new", "cached", "failed", "missing"]


def show_dry_run(config: Path, overrides: Sequence[str], *, as_json: bool) -> None:
    """Print what an extraction would do."""
    settings = load_config(config, overrides)
    with STDERR.status("comparing the dataset with the store"):
        found = dry_run(settings, read_inputs(settings, RunRecord()))
    if as_json:
        print_json({"dry_run": {name: modality.as_json() for name, modality in found.items()}})
    else:
        print_items(found)
        total = sum(modality.preview.num_contents for modality in found.values())
        STDOUT.print(f"{total} contents to extract; nothing was written", highlight=False)


def print_items(found: Mapping[str, DryRun]) -> None:
    """Print what an extraction would find, and of which modalities almost all has failed."""
    STDOUT.print(_items_table(found))
    print_warnings(STDOUT, (it.preview.warning for it in found.values() if it.preview.warning))


def _items_table(found: Mapping[str, DryRun]) -> Table:
    """Return a table of what an extraction would find, and why a feature space is new."""
    made = table("Items that an extraction would find", _COLUMNS, [])
    made.add_column("why the feature space is new", overflow="fold")
    for name, modality in found.items():
        counts = modality.preview.counts
        numbers = (counts.new, counts.cached, counts.failed, counts.missing)
        made.add_row(name, *map(str, numbers), modality.why or "")
    return made
