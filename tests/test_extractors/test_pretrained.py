"""Pretrained extractors, by their real loaders on tiny checkpoints, beside their own libraries."""

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from local_hub import fill_cache
from pretrained_cases import CASES, Setup, encode_all
from safetensors.torch import load_file, save_file

from extractors.base import Runtime
from extractors.pretrained import PretrainedExtractor
from extractors.registry import load_extractor_class, names
from extractors.weights import WeightsError

TOLERANCE = 1e-5
WITH_OPTIONS = [name for name, case in sorted(CASES.items()) if case.other_options]


@pytest.fixture(scope="module", params=sorted(CASES))
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    root = tmp_path_factory.mktemp(request.param)
    case = CASES[request.param]
    case.save(root / "checkpoint")
    return Setup(request.param, case, root / "checkpoint", case.write_items(root))


def rewrite_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def test_suite_covers_every_pretrained_extractor() -> None:
    found = {
        name for name in names() if issubclass(load_extractor_class(name), PretrainedExtractor)
    }
    assert found == set(CASES)


class TestEveryPretrainedExtractor:
    def test_vectors_equal_the_librarys(self, setup: Setup) -> None:
        vectors = encode_all(setup.build(), setup.items)
        with torch.inference_mode():
            expected = setup.case.reference(setup.folder, setup.items)
        np.testing.assert_allclose(vectors, expected, atol=TOLERANCE, rtol=0)
        assert np.ptp(vectors, axis=0).max() > 100 * TOLERANCE

    def test_vectors_are_of_the_promised_kind_and_not_normalised(self, setup: Setup) -> None:
        vectors = encode_all(setup.build(), setup.items)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(setup.items), setup.build().dim)
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).min() > 0.01

    def test_vector_does_not_depend_on_its_batch(self, setup: Setup) -> None:
        extractor = setup.build()
        together = encode_all(extractor, setup.items)
        alone = np.concatenate([encode_all(extractor, [item]) for item in setup.items])
        np.testing.assert_allclose(together, alone, atol=TOLERANCE, rtol=0)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_gpu_differs_from_the_cpu_by_rounding(self, setup: Setup) -> None:
        on_gpu = encode_all(setup.build(runtime=Runtime("cuda", offline=True)), setup.items)
        on_cpu = encode_all(setup.build(), setup.items)
        np.testing.assert_allclose(on_gpu, on_cpu, atol=0.02, rtol=0)

    @pytest.mark.parametrize("setup", WITH_OPTIONS, indirect=True)
    def test_options_change_fingerprint_and_vectors(self, setup: Setup) -> None:
        one, other = setup.build(), setup.build(**setup.case.other_options)
        assert one.space("float16").fingerprint != other.space("float16").fingerprint
        longest = setup.items[1:2]
        assert not np.allclose(encode_all(one, longest), encode_all(other, longest), atol=1e-4)

    def test_fingerprint_survives_a_move(self, setup: Setup, tmp_path: Path) -> None:
        moved = setup.build(setup.copy(tmp_path / "moved")).space("float16")
        assert moved.fingerprint == setup.build().space("float16").fingerprint
        assert str(setup.folder.parent) not in json.dumps(moved.describe())

    def test_fingerprint_follows_the_weights(self, setup: Setup, tmp_path: Path) -> None:
        folder = setup.copy(tmp_path / "trained")
        key = setup.case.needed_weight
        rewrite_weights(folder / setup.case.weights_file, lambda found: found[key].mul_(1.01))
        before, after = setup.build(), setup.build(folder)
        assert before.space("float16").fingerprint != after.space("float16").fingerprint

    def test_missing_weight_is_refused_by_name(self, setup: Setup, tmp_path: Path) -> None:
        folder = setup.copy(tmp_path / "damaged")
        key = setup.case.needed_weight
        rewrite_weights(folder / setup.case.weights_file, lambda found: found.pop(key))
        extractor = setup.build(folder)
        with pytest.raises(WeightsError, match=key.split(".", 1)[1]) as caught:
            extractor.encode([extractor.load(setup.items[1])])
        assert str(folder) in str(caught.value)

    def test_weight_of_another_shape_is_refused(self, setup: Setup, tmp_path: Path) -> None:
        folder = setup.copy(tmp_path / "damaged")
        key = setup.case.needed_weight
        rewrite_weights(
            folder / setup.case.weights_file,
            lambda found: found.update({key: found[key][:-1].contiguous()}),
        )
        extractor = setup.build(folder)
        with pytest.raises(WeightsError, match=key.split(".", 1)[1]) as caught:
            extractor.encode([extractor.load(setup.items[1])])
        assert str(folder) in str(caught.value)

    def test_pickled_weights_are_read_as_well(self, setup: Setup, tmp_path: Path) -> None:
        folder = setup.copy(tmp_path / "pickled")
        safetensors = folder / setup.case.weights_file
        torch.save(load_file(safetensors), folder / setup.case.pickled_file)
        safetensors.unlink()
        np.testing.assert_allclose(
            encode_all(setup.build(folder), setup.items),
            encode_all(setup.build(), setup.items),
            atol=TOLERANCE,
        )

    def test_pickled_weights_execute_nothing(self, setup: Setup, tmp_path: Path) -> None:
        folder = setup.copy(tmp_path / "hostile")
        (folder / setup.case.weights_file).unlink()
        marker = tmp_path / "executed"
        torch.save({setup.case.needed_weight: _Hostile(marker)}, folder / setup.case.pickled_file)
        extractor = setup.build(folder)
        with pytest.raises(WeightsError, match=str(folder)):
            extractor.encode([extractor.load(setup.items[1])])
        assert not marker.exists()

    def test_folder_without_weights_is_refused(self, setup: Setup, tmp_path: Path) -> None:
        folder = setup.copy(tmp_path / "empty")
        (folder / setup.case.weights_file).unlink()
        with pytest.raises(WeightsError, match="found no weights"):
            setup.build(folder).space("float16")

    def test_pickles_without_its_backbone(self, setup: Setup) -> None:
        extractor = setup.build()
        fresh = pickle.dumps(extractor)
        vectors = encode_all(extractor, setup.items)
        used = pickle.dumps(extractor)
        assert len(used) < 10_000
        for copy in (pickle.loads(fresh), pickle.loads(used)):  # noqa: S301 - our own
            np.testing.assert_allclose(encode_all(copy, setup.items), vectors, atol=TOLERANCE)

    def test_loaded_items_travel_in_small_arrays(self, setup: Setup) -> None:
        for item in setup.items:
            loaded = setup.build().load(item)
            assert len(pickle.dumps(loaded)) < 200_000

    def test_hub_id_in_the_cache_gives_the_folders_vectors(
        self, setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = "0123456789abcdef0123456789abcdef01234567"
        fill_cache(tmp_path, "mocme-tests/tiny", commit, setup.folder)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        extractor = setup.build("mocme-tests/tiny", revision=commit)
        assert extractor.fingerprint_parts()["weights"] == commit
        np.testing.assert_allclose(
            encode_all(extractor, setup.items),
            encode_all(setup.build(), setup.items),
            atol=TOLERANCE,
        )

    def test_absent_hub_id_is_refused_at_once(
        self, setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        start = time.monotonic()
        with pytest.raises(WeightsError, match=r"'mocme-tests/absent'.*revision: v1; offline"):
            setup.build("mocme-tests/absent", revision="v1").space("float16")
        assert time.monotonic() - start < 30

    def test_fingerprint_costs_no_import_of_a_backbone(self, setup: Setup) -> None:
        config = {"model": str(setup.folder), **setup.case.options}
        program = (
            "import sys; from extractors.base import Runtime; "
            "from extractors.registry import build_extractor; "
            f"extractor = build_extractor({setup.name!r}, {config!r}, Runtime()); "
            "print(extractor.space('float16').fingerprint); "
            "print(sorted({'torch', 'transformers', 'open_clip'} & set(sys.modules)))"
        )
        command = [sys.executable, "-c", program]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        assert answer.stdout.split("\n")[:2] == [setup.build().space("float16").fingerprint, "[]"]

    def test_default_weights_are_named_in_the_config(self, setup: Setup) -> None:
        config = load_extractor_class(setup.name).Config()
        assert "/" in config.model_dump()["model"]


class _Hostile:
    """A pickle that runs a command when loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.slow
def test_all_load_at_the_same_time(tmp_path: Path) -> None:
    """Modalities run in threads; their libraries' lazy imports must not meet half-done."""
    for name, case in CASES.items():
        case.save(tmp_path / name)
    configs = {
        name: {"model": str(tmp_path / name), **case.options} for name, case in CASES.items()
    }
    program = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from extractors.base import Runtime\n"
        "from extractors.registry import build_extractor\n"
        f"built = [build_extractor(name, of, Runtime('cpu')) for name, of in {configs!r}.items()]\n"
        "with ThreadPoolExecutor(2 * len(built)) as pool:\n"
        "    loads = [pool.submit(extractor.warm_up) for extractor in built]\n"
        "    loads += [pool.submit(getattr, extractor, 'processor') for extractor in built]\n"
        "for load in loads:\n"
        "    load.result()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
