"""Commands about feature stores: `store stats`, `store verify`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.console import STDOUT, print_json, table
from flows.cli.options import AsJson
from storage.errors import StoreError

_FINGERPRINT_SHOWN = 12  # hex digits

app = typer.Typer(help="Look into a feature store.", no_args_is_help=True, rich_markup_mode=None)

Store = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the feature store.")]


@app.command("stats")
def stats(store: Store, as_json: AsJson = False) -> None:
    """Count vectors, failures and bytes of every feature space.

    Example:  mocme store stats data/demo/data/features
    """
    rows = [_statistics(directory) for directory in _spaces(store)]
    if as_json:
        print_json({"spaces": rows})
        return
    columns = ["extractor", "fingerprint", "dim", "dtype", "vectors", "failures", "MB", "overhead"]
    cells = [
        (
            row["extractor"],
            row["fingerprint"][:_FINGERPRINT_SHOWN],
            row["dim"],
            row["dtype"],
            row["num_rows"],
            row["num_failures"],
            f"{row['bytes_on_disk'] / 1e6:.2f}",
            f"{row['bytes_on_disk'] / max(row['bytes_of_rows'], 1):.2f}x",
        )
        for row in rows
    ]
    STDOUT.print(table(f"Feature spaces of {store}", columns, cells))


@app.command("verify")
def verify(store: Store, as_json: AsJson = False) -> None:
    """Check every stored byte; exit with 1 if anything is damaged.

    Example:  mocme store verify data/demo/data/features
    """
    problems = [problem for directory in _spaces(store) for problem in _problems(directory)]
    if as_json:
        print_json({"problems": problems})
    elif problems:
        rows = [list(problem.values()) for problem in problems]
        STDOUT.print(table("Damage", list(problems[0]), rows))
    else:
        STDOUT.print(f"{store}: everything is sound", markup=False, highlight=False)
    if problems:
        raise typer.Exit(1)


def _spaces(store: Path) -> list[Path]:
    """Return the folders of a store's feature spaces, of which there must be one."""
    from storage.feature_store import feature_spaces

    found = feature_spaces(store)
    if not found:
        raise StoreError(
            f"{store}: found no feature space; allowed: the `store` folder of a config that "
            "`mocme extract CONFIG` has run"
        )
    return found


def _statistics(directory: Path) -> dict[str, Any]:
    """Describe one feature space and count what it holds."""
    from storage.feature_store import FeatureStore

    with FeatureStore.open_readonly(directory) as store:
        space = store.space
        return {
            "extractor": space.extractor,
            "fingerprint": space.fingerprint,
            "dim": space.dim,
            "dtype": space.dtype,
            **asdict(store.statistics()),
        }


def _problems(directory: Path) -> list[dict[str, Any]]:
    """Return what is damaged in one feature space; one that cannot be opened is damaged."""
    from storage.store_verification import verify_store

    try:
        found = verify_store(directory)
    except StoreError as error:
        return [{"space": str(directory), "what": str(error), "digest": None, "block": None}]
    return [{"space": str(directory), **asdict(problem)} for problem in found]
