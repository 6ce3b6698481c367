"""Datasets: a graph and the raw items of its entities, read from a folder.

Two forms are read, told apart by what lies in the folder:

- A dataset folder; see `storage.datasets.reading.dataset_folder`.
- An OpenKE folder; see `storage.datasets.reading.openke`.
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.datasets.graph import Graph
from storage.datasets.items import Entity, Item, ItemKind, ItemReader
from storage.datasets.reading import dataset_folder, openke
from storage.datasets.reading.further import FurtherFiles
from storage.datasets.reading.near_misses import MOST_NAMED, but_there_is, near_misses
from storage.datasets.reading.triple_lines import ALLOWED
from storage.datasets.split import DEFAULT_SALT
from storage.errors import DatasetError
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted

__all__ = ["Dataset", "DatasetForm", "Entity", "Item", "ItemKind", "read_dataset"]

DatasetForm = Literal["jsonl", "openke"]

_FORMS = (
    "a folder with either entities.jsonl and train.tsv, valid.tsv, test.tsv (or triples.tsv), "
    "or, as OpenKE writes it, entity2id.txt, relation2id.txt and {train,valid,test}2id.txt"
)
_LINES = f"; in entities.jsonl a JSON object with an id a line, in .tsv files {ALLOWED}"
_FROM_TABLE = "; docs/formats.md, 'From a table of your own', makes such a folder from one"

_MOST_FIELDS = 20  # that a message lists

_ENTITIES_FILES: dict[DatasetForm, str] = {
    "jsonl": dataset_folder.ENTITIES_FILE,
    "openke": openke.ENTITIES_FILE,
}


@dataclass(frozen=True)
class Dataset:
    """A graph and what its entities list.

    Attributes:
        root: The folder, which the paths of file items are relative to.
        graph: Entities and triples as indices.
        entities: The entities, in the order of `graph.entities`.
        form: How the folder is written.
        further: Which `*.jsonl` files add fields to entities, and which are not the dataset's.
    """

    root: Path
    graph: Graph
    entities: tuple[Entity, ...]
    form: DatasetForm = "jsonl"
    further: FurtherFiles = dataclasses.field(default_factory=FurtherFiles)

    @property
    def entities_file(self) -> Path:
        """The file that lists the entities."""
        return self.root / _ENTITIES_FILES[self.form]

    def items(self, fields: Sequence[str], kind: ItemKind) -> list[Item]:
        """Return the items that the entities list, in entity order, then in listed order.

        An entity without the field, or with nothing in it, lists no item.

        Args:
            fields: Fields to read. For texts, `id` and `name` are fields too.
            kind: What the fields hold. `file`: relative paths (a list or one string), those of
                several fields one after the other. `text`: a string or a list of strings, one
                item each; of several fields one item per entity, joined with ". ". `numbers`:
                an object of attribute to value, several fields merged into one item; the values
                are not checked here.

        Raises:
            DatasetError: If no entity has a field at all, a field holds the wrong JSON type, or
                a path is absolute, empty or climbs with `..`.
        """
        self.check_fields(fields, kind)
        contents = ItemReader(tuple(fields), self.entities_file).of_kind(kind)
        return [
            Item(row, content)
            for row, entity in enumerate(self.entities)
            for content in contents(entity)
        ]

    def check_fields(self, fields: Sequence[str], kind: ItemKind) -> None:
        """Refuse a field that no entity has: a misspelt one would read as 'all missing'.

        Args:
            fields: Names of fields.
            kind: What they hold; for texts, `id` and `name` are fields too.

        Raises:
            DatasetError: If there is such a field.
        """
        own = {"id", "name"}
        listed = {field for entity in self.entities for field in entity.fields}
        for field in fields:
            if field in listed or (kind == "text" and field in own):
                continue
            names = ", ".join(map(quoted, sorted(listed)[:_MOST_FIELDS])) or "none here"
            more = f" and {len(listed) - _MOST_FIELDS} more" * (len(listed) > _MOST_FIELDS)
            raise DatasetError(
                self.entities_file,
                found=f"no entity with a field {quoted(field)}{did_you_mean(field, listed | own)}",
                allowed=f"a field of some entity: {names}{more}; for texts also 'id', 'name'"
                f"{self._ignored_files()}",
            )

    def _ignored_files(self) -> str:
        """Say which files might have had a field that no entity has."""
        names = ", ".join(map(quoted, self.further.ignored[:_MOST_FIELDS]))
        return f"; not read, for the first line is no object with an 'id': {names}" if names else ""


def read_dataset(path: Path, split_salt: str = DEFAULT_SALT) -> Dataset:
    """Read a dataset folder or an OpenKE folder, by what lies in it.

    Args:
        path: The folder.
        split_salt: Salt of the split of a dataset that comes without one; what reads a config
            gives the config's.

    Raises:
        DatasetError: If the folder is not there, or anything in it is not as it should be.
    """
    forms = [form for form, file in _ENTITIES_FILES.items() if os.path.lexists(path / file)]
    if len(forms) != 1:
        meant = [] if forms else _near_misses(path)
        found = "a folder with both forms" if forms else _describe_path(path)
        allowed = _FORMS + _LINES * bool(meant) + _FROM_TABLE * path.is_file()
        raise DatasetError(path, found=f"{found}{but_there_is(meant)}", allowed=allowed)
    form = forms[0]
    is_openke = form == "openke"
    read = openke.read(path) if is_openke else dataset_folder.read(path, split_salt)
    entities, graph, further = read
    return Dataset(path, graph, entities, form, further)


def _describe_path(path: Path) -> str:
    if not path.exists():
        return "no such folder"
    if not path.is_dir():
        return "a file"
    return "neither entities.jsonl nor entity2id.txt"


def _near_misses(path: Path) -> list[str]:
    """Return names of files in a folder that may have been meant as one of entities or triples."""
    read = (*dataset_folder.FILES, *openke.FILES)
    entities = near_misses(path, ("entities",), read)
    triples = near_misses(path, ("triples", "train"), (*read, *entities))
    return [*entities, *triples][:MOST_NAMED]
