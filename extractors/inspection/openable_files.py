"""Which of the files that a dataset lists may be decoded once more, say for a page to show them."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from extractors.registry import load_extractor_class
from storage.errors import MocmeError
from storage.features.file_digest import FileDigest
from storage.features.file_index import FileIndex
from storage.features.store import FeatureStore, feature_spaces
from storage.files.file_access import FilesBelow, FileSignature, ListedFile


def openable_files(
    root: Path, listed: Sequence[str], store_root: Path, extractors: Collection[str]
) -> dict[str, ListedFile]:
    """Return those of some files that may be opened, and whose content no extractor failed on.

    A decoder may have hung or crashed on such a content, whatever the file is called by now. Where
    there is no feature store to look that up in, what may be opened is returned.

    Args:
        root: The dataset's folder.
        listed: Paths below it.
        store_root: Folder of the feature store; need not exist.
        extractors: Names of those that read the files.
    """
    try:
        return dict(_not_failed(root, listed, store_root, extractors))
    except MocmeError:
        folder = FilesBelow(root)
        found = ((path, folder.signature(path)) for path in listed)
        return {
            path: ListedFile(str(root.absolute()), path, signature)
            for path, signature in found
            if isinstance(signature, FileSignature)
        }


def _not_failed(
    root: Path, listed: Sequence[str], store_root: Path, extractors: Collection[str]
) -> Iterator[tuple[str, ListedFile]]:
    with FileIndex.open_readonly(store_root) as index:
        found = dict(zip(listed, index.digests(root, listed), strict=True))
    files = {path: file for path, file in found.items() if isinstance(file, FileDigest)}
    failed = _failed(store_root, extractors, [file.digest for file in files.values()])
    for path, file in files.items():
        if file.digest not in failed:
            yield path, ListedFile(str(root.absolute()), path, file.signature)


def _failed(store_root: Path, extractors: Collection[str], digests: Sequence[bytes]) -> set[bytes]:
    """Return the contents that an extractor, in its present version, has failed on."""
    failed = set[bytes]()
    for folder in feature_spaces(store_root):
        if folder.parent.name not in extractors:
            continue
        with FeatureStore.open_readonly(folder) as store:
            version = load_extractor_class(folder.parent.name).version
            if store.space.parts.get("version") == version:
                states = zip(digests, store.lookup(digests), strict=True)
                failed.update(digest for digest, state in states if state == "failed")
    return failed
