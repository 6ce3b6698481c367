"""The corpus of bad and odd inputs, extracted for real: each becomes what its case says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from child_processes import children
from corpus import Case, Encoded, Failed, Missing, add_cases, entity_of
from corpus_clips import CLIPS
from corpus_pictures import PICTURES
from corpus_sounds import SOUNDS
from corpus_texts import NUMBERS, TEXTS
from extraction_world import OPTIONS, World
from numpy.typing import NDArray

from extractors.base import Runtime
from extractors.extraction import Counts, Extraction, ExtractionError
from extractors.media.clips.frames import MAX_FRAME_PIXELS
from extractors.media.picture import MAX_ASPECT, MAX_PIXELS
from extractors.media.sound import MAX_RATE_HZ
from extractors.registry import build_extractor
from storage.datasets.dataset import read_dataset
from storage.errors import DatasetError
from storage.features.store import FeatureStore
from storage.files.file_access import MAX_FILE_BYTES

EXTRACTORS = {
    "image": "image_stats",
    "audio": "audio_mel",
    "video": "video_stats",
    "text": "text_hash",
    "numeric": "numeric",
}
CASES: Mapping[str, list[Case]] = {
    "image": PICTURES,
    "audio": SOUNDS,
    "video": CLIPS,
    "text": TEXTS,
    "numeric": NUMBERS,
}
STRICT = OPTIONS.model_copy(
    update={"num_workers": 2, "timeout_seconds": 10, "batch_size": 64, "max_failure_rate": 0.0}
)
LENIENT = STRICT.model_copy(update={"max_failure_rate": 1.0})
MAX_GROWTH_BYTES = 300 * 2**20


@dataclass(frozen=True)
class Extracted:
    """What came of one field.

    Attributes:
        extraction: The outcome of the run.
        reasons: Why items failed, by entity.
        vectors: By entity.
        growth_bytes: By how much this process's memory grew at most while it ran.
    """

    extraction: Extraction
    reasons: Mapping[str, str]
    vectors: Mapping[str, NDArray[np.float32]]
    growth_bytes: int


def memory_bytes(name: str) -> int:
    """Return a value of this process's memory: VmRSS, now, or VmHWM, the most since its reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    values = dict(line.split(":", maxsplit=1) for line in lines)
    return int(values[name].split()[0]) * 1024


def extract(world: World, field: str) -> Extracted:
    """Extract a field of which too much is bad, and look up what is stored all the same."""
    extractor = build_extractor(EXTRACTORS[field], {}, Runtime())
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = memory_bytes("VmRSS")
    with pytest.raises(ExtractionError, match=r"allowed: max_failure_rate 0\.0%") as caught:
        world.extract(extractor, STRICT, (field,))
    growth = memory_bytes("VmHWM") - before
    extraction = caught.value.extraction
    ids = [str(entity["id"]) for entity in world.entities]
    with FeatureStore.open_readonly(extraction.store_directory) as store:
        rows = store.read([digest for _, digest in extraction.references])
    return Extracted(
        extraction,
        {failed.entity: failed.reason for failed in extraction.failures},
        {ids[row]: vector for (row, _), vector in zip(extraction.references, rows, strict=True)},
        growth,
    )


@pytest.fixture(scope="module")
def children_before() -> set[int]:
    return children()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("corpus"))
    for field, cases in CASES.items():
        add_cases(world, field, cases)
    return world


@pytest.fixture(scope="module")
def outcome(world: World, children_before: set[int]) -> Mapping[str, Extracted]:
    return {field: extract(world, field) for field in CASES}


@pytest.mark.parametrize(
    ("field", "case"),
    [
        pytest.param(field, case, id=f"{field}: {case.name[:40]!r}")
        for field, cases in CASES.items()
        for case in cases
    ],
)
def test_a_case_becomes_what_its_rule_says(
    outcome: Mapping[str, Extracted], field: str, case: Case
) -> None:
    extracted, entity = outcome[field], entity_of(field, case.name)
    reason, vector = extracted.reasons.get(entity), extracted.vectors.get(entity)
    if isinstance(case.outcome, Encoded):
        assert reason is None
        assert vector is not None
        assert np.isfinite(vector).all()
        if case.outcome.same_as is not None:
            expected = extracted.vectors[entity_of(field, case.outcome.same_as)]
            np.testing.assert_allclose(vector, expected, rtol=0, atol=case.outcome.tolerance)
        return
    assert vector is None
    if isinstance(case.outcome, Failed):
        assert reason is not None
        assert re.fullmatch(case.outcome.reason, reason), reason
    else:
        assert reason is None


@pytest.mark.parametrize("field", CASES)
def test_each_is_counted_once(outcome: Mapping[str, Extracted], field: str) -> None:
    kinds = [type(case.outcome) for case in CASES[field]]
    num_elsewhere = sum(len(cases) for cases in CASES.values()) - len(kinds)
    assert outcome[field].extraction.counts == Counts(
        new=kinds.count(Encoded),
        cached=0,
        failed=kinds.count(Failed),
        missing=kinds.count(Missing) + num_elsewhere,
    )


@pytest.mark.parametrize("field", CASES)
def test_a_second_run_extracts_nothing(
    outcome: Mapping[str, Extracted], world: World, field: str
) -> None:
    first = outcome[field].extraction
    extractor = build_extractor(EXTRACTORS[field], {}, Runtime())
    second = world.extract(extractor, LENIENT, (field,))
    assert second.counts == replace(first.counts, new=0, cached=first.counts.new)
    assert second.failures == first.failures
    assert second.references == first.references


@pytest.mark.usefixtures("outcome")
def test_no_process_is_left(children_before: set[int]) -> None:
    assert children() <= children_before


@pytest.mark.parametrize("field", CASES)
def test_memory_stays_flat(outcome: Mapping[str, Extracted], field: str) -> None:
    assert outcome[field].growth_bytes < MAX_GROWTH_BYTES


def test_the_document_tells_the_limits() -> None:
    document = (Path(__file__).parents[2] / "docs" / "media.md").read_text()
    assert f"more than {MAX_PIXELS:,} pixels" in document
    assert f"more than {MAX_FRAME_PIXELS:,} pixels" in document
    assert f"more than {MAX_RATE_HZ:,} samples" in document
    assert f"more than {MAX_FILE_BYTES >> 30} GiB" in document
    assert f"longer than {MAX_ASPECT}:1" in document


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"id": "b", "image": ["/etc/hosts"]}', "field 'image'.*'/etc/hosts'.*not absolute"),
        (b'{"id": "b", "image": ["image/../../x.png"]}', r"field 'image'.*without '\.\.'"),
        (b'{"id": "b", "image": [""]}', "field 'image'.*not empty"),
        (b'{"id": "b", "image": ["a\\u0000.png"]}', "field 'image'"),
        (b'{"id": "b", "image": [3]}', "field 'image'.*a list of paths"),
        (b'{"id": "b", "image": ["\\udcff.png"]}', "surrogate"),
        (b'{"id": "b", "text": "caf\xe9"}', "byte 0xe9.*not UTF-8"),
        (b'{"id": "b", "text": "\\ud83d"}', "surrogate"),
        (b'{"id": "b", "numeric": {"x": ' + b"[" * 500 + b"]" * 500 + b"}}", "too deep"),
        (b'{"id": "b", "numeric": {"x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}}", "no JSON"),
        (b'{"id": "b", "numeric": {"x": ' + b"9" * 5000 + b"}}", "no JSON.*4300 digits"),
        (b'{"id": "b", "text": "no end', "no JSON"),
        (b"\xff\xfe", "byte 0xff.*not UTF-8"),
    ],
)
def test_what_the_list_itself_gets_wrong_is_an_error_that_names_the_line(
    tmp_path: Path, line: bytes, found: str
) -> None:
    good = b'{"id": "a", "image": [], "text": "", "numeric": {}}\n'
    (tmp_path / "entities.jsonl").write_bytes(good + line + b"\n")
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.tsv").write_text("a\tis\ta\n")
    with pytest.raises(DatasetError, match=rf"entities\.jsonl.*line 2.*{found}"):
        read_dataset(tmp_path).items(("image",), "file")
