"""Commands about feature stores: `store stats`, `store verify`, and those of other modules."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.exit_codes import INPUT_ERROR, RUN_FAILED
from flows.terminal.output import STDOUT, print_error, print_json, print_line
from mocme.cli.exports import export_features
from mocme.cli.garbage import gc
from mocme.cli.imports import import_features
from mocme.cli.options import AsJson
from mocme.tables import table
from storage.errors import StoreError

if TYPE_CHECKING:
    from storage.features.verification import Repair

_FINGERPRINT_SHOWN = 12  # hex digits
_MOST_REASONS = 20  # of failures, in the table

app = typer.Typer(
    help="Look into a feature store; take features in and out.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Store = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the feature store.")]


@app.command("stats")
def stats(store: Store, as_json: AsJson = False) -> None:
    """Count vectors, failures and bytes of every feature space.

    Dead bytes are pages that hold nothing now; the next writes take them.

    Example:  mocme store stats data/demo/data/features
    """
    rows = [_statistics(directory) for directory in _spaces(store)]
    if as_json:
        print_json({"spaces": rows})
        return
    columns = ["extractor", "fingerprint", "dim", "dtype", "vectors", "failures"]
    columns += ["MB", "overhead", "bytes per vector", "dead MB"]
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
            f"{row['bytes_per_vector']:.0f}",
            f"{row['dead_bytes'] / 1e6:.2f}",
        )
        for row in rows
    ]
    STDOUT.print(table(f"Feature spaces of {store}", columns, cells))
    _print_failures(rows)


@app.command("verify")
def verify(
    store: Store,
    repair: Annotated[
        bool, typer.Option("--repair", help="Drop what is damaged; `extract` makes it anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every stored byte; exit with 1 if anything is damaged, with 2 if it cannot be read.

    With --repair, what is damaged is dropped, and the next `mocme extract CONFIG` extracts just
    that again; it exits with 1 only if something is left that cannot be dropped by itself.

    Example:  mocme store verify data/demo/data/features --repair
    """
    checks, unread = _check_all(_spaces(store), repair=repair)
    problems = [row for directory, found in checks.items() for row in _rows(directory, found)]
    num_dropped = sum(found.num_dropped for found in checks.values())
    broken = [directory for directory, found in checks.items() if not found.is_complete]
    if as_json:
        repaired = {"dropped": num_dropped, "beyond_repair": list(map(str, broken))}
        found = {"problems": problems, **({"unread": unread} if unread else {})}
        print_json({**found, **(repaired if repair else {})})
    else:
        _print_problems(store, problems, is_complete=not unread)
        if repair and problems:
            _print_repair(num_dropped, broken)
    for why in unread.values():
        print_error(why)
    if unread:
        raise typer.Exit(INPUT_ERROR)
    if broken if repair else problems:
        raise typer.Exit(RUN_FAILED)


app.command("gc")(gc)
app.command("import")(import_features)
app.command("export")(export_features)


@app.command("copy")
def copy(
    store: Store,
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Folder of the copy: a store, too.")
    ],
) -> None:
    """Copy a store, also while runs write to it; over an older copy, and nothing else.

    Each feature space is copied as its last commit left it, without free pages. What stands in its
    place in TARGET is replaced only if it is a copy of the same feature space.

    Example:  mocme store copy data/demo/data/features /backup/features
    """
    from storage.features.backup import copy_store

    for directory in copy_store(store, target):
        print_line(str(directory))


def _check_all(
    directories: Sequence[Path], *, repair: bool
) -> tuple[dict[Path, "Repair"], dict[str, str]]:
    """Verify feature spaces, and drop what is damaged if asked to.

    Returns:
        What was found, by folder; and why others could not be read, or not be repaired.
    """
    from storage.features.verification import Repair, repair_folder, verify_store

    checks, unread = dict[Path, Repair](), dict[str, str]()
    for directory in directories:
        try:
            checks[directory] = (
                repair_folder(directory) if repair else Repair(verify_store(directory))
            )
        except StoreError as error:
            unread[str(directory)] = str(error)
    return checks, unread


def _rows(directory: Path, found: "Repair") -> list[dict[str, Any]]:
    return [{"space": str(directory), **asdict(problem)} for problem in found.problems]


def _print_problems(
    store: Path, problems: Sequence[Mapping[str, Any]], *, is_complete: bool
) -> None:
    if problems:
        rows = [list(problem.values()) for problem in problems]
        STDOUT.print(table("Damage", list(problems[0]), rows))
    elif is_complete:
        print_line(f"{store}: everything is sound")


def _print_repair(num_dropped: int, broken: Sequence[Path]) -> None:
    if num_dropped:
        print_line(f"{num_dropped} vectors dropped; `mocme extract CONFIG` makes them anew")
    for directory in broken:
        print_line(
            f"{directory}: beyond repair; restore it from a copy, or delete the folder and extract "
            "again"
        )


def _print_failures(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the commonest reasons of failures, the commonest first."""
    counted = [
        (reason, row["extractor"], count)
        for row in rows
        for reason, count in row["failures_by_reason"].items()
    ]
    if counted:
        counted.sort(key=lambda reason: -reason[2])
        title = f"Failures: {min(len(counted), _MOST_REASONS)} of {len(counted)} reasons"
        columns = ["reason", "extractor", "items"]
        STDOUT.print(table(title, columns, counted[:_MOST_REASONS]))


def _spaces(store: Path) -> list[Path]:
    """Return the folders of a store's feature spaces, of which there must be one."""
    from storage.features.store import feature_spaces

    found = feature_spaces(store)
    if not found:
        raise StoreError(
            f"{store}: found no feature space; allowed: the `store` folder of a config that "
            "`mocme extract CONFIG` has run"
        )
    return found


def _statistics(directory: Path) -> dict[str, Any]:
    """Describe one feature space and count what it holds."""
    from storage.features.store import FeatureStore

    with FeatureStore.open_readonly(directory) as store:
        space, found = store.space, store.statistics()
        reasons = Counter(store.failures().values())
        return {
            "extractor": space.extractor,
            "fingerprint": space.fingerprint,
            "dim": space.dim,
            "dtype": space.dtype,
            **asdict(found),
            "bytes_per_vector": found.bytes_per_vector,
            "failures_by_reason": dict(reasons.most_common()),
        }
