"""A corpus of bad and odd inputs: what each is, and what must become of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from extraction_world import World


@dataclass(frozen=True)
class Encoded:
    """It gets a finite vector.

    Attributes:
        same_as: Name of the case of the same field whose vector it must equal, if any.
        tolerance: Largest difference of any number of the two vectors.
    """

    same_as: str | None = None
    tolerance: float = 0.0


@dataclass(frozen=True)
class Failed:
    """It is recorded as failed.

    Attributes:
        reason: Regular expression of the whole reason.
    """

    reason: str


@dataclass(frozen=True)
class Missing:
    """It counts as nothing listed."""


Outcome = Encoded | Failed | Missing
Make = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        name: A file's name, or what a text or numbers are called here.
        outcome: What must become of it.
        make: Writes the file; None for texts and numbers.
        content: The text or the numbers.
    """

    name: str
    outcome: Outcome
    make: Make | None = None
    content: object = None


def add_cases(world: World, field: str, cases: Sequence[Case]) -> None:
    """Add an entity for each case, and write their files below a folder of the field's name."""
    folder = world.root / field
    folder.mkdir()
    for case in cases:
        if case.make is not None:
            case.make(folder / case.name)
        listed = case.content if case.make is None else [f"{field}/{case.name}"]
        world.add(entity_of(field, case.name), **{field: listed})


def entity_of(field: str, name: str) -> str:
    """Return the id of a case's entity."""
    return f"{field}: {name!r}"


def content(data: bytes | str) -> Make:
    """Return what writes a file of these bytes."""
    encoded = data.encode() if isinstance(data, str) else data
    return lambda path: path.write_bytes(encoded)


def edited(make: Make, edit: Callable[[bytes], bytes]) -> Make:
    """Return what writes a file and then changes its bytes."""

    def make_edited(path: Path) -> None:
        make(path)
        path.write_bytes(edit(path.read_bytes()))

    return make_edited


def cut(make: Make, share: float = 0.5) -> Make:
    """Return what writes the beginning of a file."""
    return edited(make, lambda whole: whole[: int(len(whole) * share)])


def zeroed_middle(num_bytes: int) -> Callable[[bytes], bytes]:
    """Return what overwrites a stretch in the middle by zeros."""

    def zero(whole: bytes) -> bytes:
        middle = len(whole) // 2
        return whole[:middle] + bytes(num_bytes) + whole[middle + num_bytes :]

    return zero


def renamed(make: Make, suffix: str) -> Make:
    """Return what writes a file by a writer that goes by the extension, under another name."""

    def make_renamed(path: Path) -> None:
        proper = path.with_name(f"{path.name}.{suffix}")
        make(proper)
        proper.rename(path)

    return make_renamed
