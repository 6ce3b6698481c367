"""What is wrong with the media that a dataset lists, found before anything is extracted."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from extractors.inspection.recognition import HEAD_BYTES, is_recognised, why_unread
from extractors.thumbnail import Kind
from storage.datasets.dataset import Dataset
from storage.datasets.items import Item
from storage.files.file_access import FileProblem, FilesBelow, ListedFile, open_resolved, problem_of

FIELDS_HEADER = ("field", "entities", "items", "files", "failing", "listed twice", "shared files")
PROBLEMS_HEADER = ("field", "reason", "items", "the first ones")

EMPTY = "an empty file"

_MOST_NAMED = 5
_MOST_SAMPLED = 100  # values of a field that are looked at to guess whether it holds paths
_PATH = re.compile(r"(?!\w+://)[^\0\r\n]{1,250}\.(?=\w*[a-zA-Z])\w{2,5}")


@dataclass(frozen=True)
class MediaProblem:
    """Items of a field that would fail for the same reason.

    Attributes:
        reason: Why.
        items: How many.
        first: Entity and path of the first ones.
    """

    reason: str
    items: int
    first: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FieldAudit:
    """What a field lists.

    Attributes:
        entities: Entities that list something.
        items: Paths that they list.
        files: Distinct paths.
        twice: Items that the same entity has listed in the field before.
        shared: Files that several entities list.
        problems: Items that would fail, by reason, the commonest first.
    """

    entities: int
    items: int
    files: int
    twice: int
    shared: int
    problems: tuple[MediaProblem, ...]

    @property
    def failing(self) -> int:
        """Items that would fail."""
        return sum(problem.items for problem in self.problems)


@dataclass(frozen=True)
class MediaAudit:
    """What an audit of the media has found.

    Attributes:
        fields: By field.
        without_facts: Ids of entities that stand in no triple.
        without_media: Ids of entities that list nothing in any of the fields.
    """

    fields: Mapping[str, FieldAudit]
    without_facts: tuple[str, ...]
    without_media: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as a JSON object."""
        return {
            "fields": {
                name: {**asdict(field), "failing": field.failing}
                for name, field in self.fields.items()
            },
            "without_facts": _counted(self.without_facts),
            "without_media": _counted(self.without_media),
        }

    def field_rows(self) -> Iterator[tuple[object, ...]]:
        """Yield the rows of a table under `FIELDS_HEADER`."""
        for name, it in self.fields.items():
            yield name, it.entities, it.items, it.files, it.failing, it.twice, it.shared

    def problem_rows(self) -> Iterator[tuple[object, ...]]:
        """Yield the rows of a table under `PROBLEMS_HEADER`."""
        for name, field in self.fields.items():
            for it in field.problems:
                first = ", ".join(f"{entity}: {path}" for entity, path in it.first)
                yield name, it.reason, it.items, first


def audit_media(dataset: Dataset, kinds: Mapping[str, Iterable[str]] | None = None) -> MediaAudit:
    """Look for what would fail, without decoding it, and for entities that lack something.

    Args:
        dataset: The dataset.
        kinds: Fields that hold files, and the modalities of the extractors that read each; by
            default the fields whose values look like paths, and those named as modalities are.

    Raises:
        DatasetError: If a field holds no paths, or one that is absolute or climbs with `..`.
    """
    found: dict[str, FieldAudit] = {}
    lacking = set(range(len(dataset.entities)))
    for name, modalities in (_guess_kinds(dataset) if kinds is None else kinds).items():
        items = dataset.items([name], "file")
        lacking.difference_update(item.entity for item in items)
        found[name] = _audit_field(dataset, items, set(modalities))
    graph = dataset.graph
    triples = np.concatenate([graph.train, graph.valid, graph.test])
    uses = np.bincount(triples[:, [0, 2]].ravel(), minlength=graph.num_entities)
    without_facts = (graph.entities[row] for row in np.flatnonzero(uses == 0).tolist())
    without_media = (graph.entities[row] for row in sorted(lacking))
    return MediaAudit(found, tuple(without_facts), tuple(without_media))


def _audit_field(dataset: Dataset, items: Sequence[Item], modalities: set[str]) -> FieldAudit:
    listed = Counter((item.entity, str(item.content)) for item in items)
    files = Counter(path for _, path in listed)
    reasons = _why_failing(dataset.root, list(files), modalities)
    failing: dict[str, list[tuple[str, str]]] = {}
    for item in items:
        reason = reasons.get(str(item.content))
        if reason is not None:
            named = (dataset.entities[item.entity].id, str(item.content))
            failing.setdefault(reason, []).append(named)
    problems = [MediaProblem(why, len(it), (*it[:_MOST_NAMED],)) for why, it in failing.items()]
    return FieldAudit(
        entities=len({item.entity for item in items}),
        items=len(items),
        files=len(files),
        twice=len(items) - len(listed),
        shared=sum(number > 1 for number in files.values()),
        problems=tuple(sorted(problems, key=lambda it: -it.items)),
    )


def _why_failing(root: Path, paths: Sequence[str], modalities: set[str]) -> dict[str, str]:
    """Return why files would fail, by path; of other modalities than these three, less is known."""
    kinds = [kind for kind in get_args(Kind) if kind in modalities]
    folder = FilesBelow(root)
    reasons: dict[str, str] = {}
    unrecognised: list[ListedFile] = []
    for path in paths:
        found = _look_at(folder, root, path)
        if isinstance(found, FileProblem):
            reasons[path] = found.reason
            continue
        file, head = found
        if kinds and not any(is_recognised(kind, head) for kind in kinds):
            unrecognised.append(file)
    return reasons | _unread(kinds, unrecognised)


def _look_at(folder: FilesBelow, root: Path, path: str) -> tuple[ListedFile, bytes] | FileProblem:
    """Return a file and its beginning, or why it would fail whatever reads it."""
    signature = folder.signature(path)
    if isinstance(signature, FileProblem):
        return signature
    try:
        with open_resolved(folder.real_path(path)) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, ValueError) as error:
        return problem_of(error)
    if not head:
        return FileProblem(EMPTY)
    return ListedFile(str(root.absolute()), path, signature), head


def _unread(kinds: Sequence[Kind], files: Sequence[ListedFile]) -> dict[str, str]:
    """Return the reasons of those files that no reader of these kinds takes."""
    reasons: dict[str, str] = {}
    for kind in kinds if files else ():
        reasons = {}
        for file, reason in why_unread(kind, files):
            if reason is not None:
                reasons[file.relative] = reason
        files = [file for file in files if file.relative in reasons]
    return reasons


def _guess_kinds(dataset: Dataset) -> dict[str, list[Kind]]:
    """Return the fields that hold paths, as it seems; any kind may be in those of other names."""
    samples: dict[str, list[bool]] = {}
    for entity in dataset.entities:
        for name, value in entity.fields.items():
            sample = samples.setdefault(name, [])
            for string in value if isinstance(value, list) else [value]:
                if string is not None and len(sample) < _MOST_SAMPLED:
                    sample.append(isinstance(string, str) and bool(_PATH.fullmatch(string)))
    every: list[Kind] = list(get_args(Kind))
    return {
        name: [kind for kind in every if kind == name] or every
        for name, sample in samples.items()
        if name in every or (sample and sum(sample) > len(sample) / 2)
    }


def _counted(ids: Sequence[str]) -> dict[str, Any]:
    return {"entities": len(ids), "first": list(ids[:_MOST_NAMED])}
