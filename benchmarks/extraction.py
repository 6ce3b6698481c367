"""Measures extraction beside the bare work it cannot do without, and beside a plain script.

    python benchmarks/extraction.py --files 100000

Every ratio is of two times of this run, on the same files in a warm cache, taken one after the
other; of the repeats' ratios the median counts, and all are shown. Backbones have random weights,
which cost what trained ones do; the loading of weights is not part of any time.

- `backbone`: items per second of `extract_modality`, over those of decoding everything in a bare
  loop and then encoding everything in a bare loop, with the backbone's own library. Above 1 where
  decoding hides behind encoding.
- `plain script`: seconds of one item at a time and `torch.save` at the end, over ours.
- `cheap`: items per second of `extract_modality`, over those of a `multiprocessing.Pool` of all
  cores that decodes and throws away.
- `unchanged`: a second run over files that the store knows, beside `git status` on the same tree.
- `peak memory`: of a fresh process that extracts, and of the largest of its decoding processes.
"""

import argparse
import json
import logging
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer, BertModel, BertTokenizer
from transformers import BertConfig as BertArchitecture
from transformers.utils.logging import disable_progress_bar

from extractors.base import Runtime
from extractors.extraction import ModalityPlan, extract_modality
from extractors.options import ExtractOptions
from extractors.registry import build_extractor
from storage.datasets.dataset import read_dataset

BATCH_SIZE = 64
PICTURE_SIZE = (640, 480)
PHOTO_SIZE = (1600, 1200)
VOCABULARY_SIZE = 30_522  # BERT-base's
MAX_LENGTH = 128

PEAK_MEMORY_PROGRAM = """
import json, os, sys, threading
from pathlib import Path
from extractors.base import Runtime
from extractors.extraction import ModalityPlan, extract_modality
from extractors.options import ExtractOptions
from extractors.registry import build_extractor
from storage.datasets.dataset import read_dataset

def peak_kib(process):
    try:
        status = Path(f"/proc/{process}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):  # it is gone
        return 0

def watch():
    while not done.wait(0.02):
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        peaks.extend(map(peak_kib, children))

dataset, name, config, field, store = json.loads(sys.argv[1])
plan = ModalityPlan(field, build_extractor(name, config, Runtime()), (field,))
done, peaks = threading.Event(), [0]
threading.Thread(target=watch, daemon=True).start()
extract_modality(read_dataset(Path(dataset)), plan, Path(store), ExtractOptions())
done.set()
print(peak_kib("self"), max(peaks))
"""


class Backbone:
    """A backbone in its own library's words; the extractor reads the same folder.

    Attributes:
        extractor: Name of mocme's extractor.
        field: The dataset's field that holds the items.
    """

    extractor: str
    field: str
    options: dict[str, Any]

    def decode(self, item: Any) -> Any:
        """Make one item ready for a batch."""
        raise NotImplementedError

    def encode(self, batch: Sequence[Any]) -> torch.Tensor:
        """Embed a batch. Shape: (len(batch), dim)."""
        raise NotImplementedError

    def in_order(self, decoded: list[Any]) -> list[Any]:
        """Order items as the bare loop should have them."""
        return decoded


class VitB32(Backbone):
    """ViT-B/32 by open_clip, with random weights.

    Args:
        folder: Where to save the checkpoint.
        device: Where to encode.
    """

    extractor, field = "image_clip", "image"

    def __init__(self, folder: Path, device: str) -> None:
        folder.mkdir(parents=True)
        self.model, _, self.transform = open_clip.create_model_and_transforms("ViT-B-32")
        weights = {key: value.contiguous() for key, value in self.model.state_dict().items()}
        save_file(weights, folder / "open_clip_model.safetensors")
        config = {"model_cfg": open_clip.get_model_config("ViT-B-32"), "preprocess_cfg": {}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        self.options = {"model": str(folder)}
        self.device = device
        self.model.to(device).eval()

    def decode(self, item: Path) -> torch.Tensor:
        """Read, resize and crop a picture. Shape: (3, 224, 224)."""
        with Image.open(item) as picture:
            pixels: torch.Tensor = self.transform(picture.convert("RGB"))
        return pixels

    def encode(self, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        """Embed pictures. Shape: (len(batch), 512)."""
        pixels = torch.stack(list(batch)).to(self.device)
        with torch.inference_mode(), autocast(self.device):
            vectors: torch.Tensor = self.model.encode_image(pixels)
        return vectors.float().cpu()


class BertBase(Backbone):
    """BERT-base by transformers, with random weights; the bare loop sorts texts by length, too.

    Args:
        folder: Where to save the checkpoint.
        device: Where to encode.
    """

    extractor, field = "text_bert", "text"

    def __init__(self, folder: Path, device: str) -> None:
        folder.mkdir(parents=True)
        special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        words = [f"word{number}" for number in range(VOCABULARY_SIZE - len(special))]
        (folder / "vocab.txt").write_text("\n".join([*special, *words]))
        BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
        BertModel(BertArchitecture()).save_pretrained(folder)
        self.options = {"model": str(folder), "max_length": MAX_LENGTH}
        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).to(device).eval()

    def decode(self, item: str) -> list[int]:
        """Tokenize a text."""
        ids: list[int] = self.tokenizer(item, truncation=True, max_length=MAX_LENGTH)["input_ids"]
        return ids

    def encode(self, batch: Sequence[list[int]]) -> torch.Tensor:
        """Average the last hidden states. Shape: (len(batch), 768)."""
        padded = self.tokenizer.pad({"input_ids": list(batch)}, return_tensors="pt").to(self.device)
        with torch.inference_mode(), autocast(self.device):
            states = self.model(**padded).last_hidden_state.float()
        mask = padded["attention_mask"][..., None]
        pooled: torch.Tensor = (states * mask).sum(1) / mask.sum(1)
        return pooled.cpu()

    def in_order(self, decoded: list[Any]) -> list[Any]:
        """Have texts of similar length share batches."""
        return sorted(decoded, key=len, reverse=True)


def autocast(device: str) -> torch.autocast:
    """Compute in float16 on a GPU, as the extractors do."""
    return torch.autocast(device, torch.float16, enabled=device == "cuda")


def compare_backbone(
    backbone: Backbone, dataset: Path, items: Sequence[Any], repeats: int, device: str
) -> None:
    """Print the lines `backbone` and `plain script`."""
    extractor = build_extractor(backbone.extractor, backbone.options, Runtime(device=device))
    extractor.encode([extractor.load(items[0])])  # loads the weights
    ours, bare = [], []
    for _ in range(repeats):
        decoded: list[Any] = []
        decoding = seconds(lambda into=decoded: into.extend(map(backbone.decode, items)))
        batches = in_batches(backbone.in_order(decoded))
        encoding = seconds(lambda them=batches: [backbone.encode(batch) for batch in them])
        bare.append(decoding + encoding)
        ours.append(extraction_seconds(dataset, extractor, backbone.field, device))
    with tempfile.NamedTemporaryFile() as file:
        plain = seconds(
            lambda: torch.save([backbone.encode([backbone.decode(item)]) for item in items], file)
        )
    name = backbone.extractor
    print(
        f"{name}: {len(items)} items, {len(items) / median(ours):.1f} items/s; last bare loop: "
        f"decoding {decoding:.2f} s + encoding {encoding:.2f} s; bare / ours = "
        f"{median_ratio(bare, ours)}; plain script / ours = {plain / median(ours):.2f}"
    )
    print_peak_memory(dataset, backbone.extractor, backbone.options, backbone.field)


def median_ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Describe the ratios of times that were taken one after the other."""
    ratios = sorted(first / second for first, second in zip(above, below, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def in_batches(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut items into batches."""
    return [items[start : start + BATCH_SIZE] for start in range(0, len(items), BATCH_SIZE)]


def extraction_seconds(dataset: Path, extractor: Any, field: str, device: str = "cpu") -> float:
    """Return how long extraction into an empty store takes."""
    graph = read_dataset(dataset)
    options = ExtractOptions(
        device=device, batch_size=BATCH_SIZE, num_workers=len(os.sched_getaffinity(0))
    )
    with tempfile.TemporaryDirectory(dir=dataset.parent) as store:
        plan = ModalityPlan(field, extractor, (field,))
        start = time.perf_counter()
        found = extract_modality(graph, plan, Path(store), options)
        end = time.perf_counter()
    if found.counts.new != len(graph.entities):
        raise SystemExit(f"found {found.counts}; every item is new")
    return end - start


def print_peak_memory(dataset: Path, name: str, config: dict[str, Any], field: str) -> None:
    """Print the line `peak memory`."""
    with tempfile.TemporaryDirectory(dir=dataset.parent) as store:
        work = json.dumps([str(dataset), name, config, field, store])
        command = [sys.executable, "-c", PEAK_MEMORY_PROGRAM, work]
        found = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    own, worker = (int(kib) / 1024 for kib in found.split())
    workers = f"{worker:.0f} MiB in the largest worker" if worker else "no workers"
    print(f"{name}: peak memory {own:.0f} MiB, {workers}", flush=True)


def decode_and_drop(path: Path) -> None:
    """Decode a picture, as anything must that looks at it."""
    with Image.open(path) as picture:
        picture.convert("RGB")


def compare_cheap(dataset: Path, paths: Sequence[Path], repeats: int) -> None:
    """Print the line `cheap`."""
    sizes: Sequence[dict[str, int]] = ({"size": 16, "cells": 1}, {})
    extractors = [build_extractor("image_stats", options, Runtime()) for options in sizes]
    ours: list[list[float]] = [[] for _ in extractors]
    bare = []
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
        pool.map(decode_and_drop, paths[:16])  # starts the processes and imports
        for _ in range(repeats):
            bare.append(seconds(lambda: list(pool.imap_unordered(decode_and_drop, paths, 16))))
            for extractor, times in zip(extractors, ours, strict=True):
                times.append(extraction_seconds(dataset, extractor, "image"))
    for options, times in zip(sizes, ours, strict=True):
        print(
            f"image_stats {options} on {dataset.name}: {len(paths)} items, "
            f"{len(paths) / median(times):.0f} items/s; bare pool / ours = "
            f"{median_ratio(bare, times)}",
            flush=True,
        )


def compare_unchanged(dataset: Path, num_files: int) -> None:
    """Print the line `unchanged`."""
    write_pictures(dataset, num_files, ".ppm", (8, 8))
    extractor = build_extractor("image_stats", {"size": 16}, Runtime())
    plan = ModalityPlan("image", extractor, ("image",))
    time.sleep(3)  # files younger than the clock's grain are not remembered
    store = dataset.parent / "unchanged-store"
    first = seconds(lambda: extract_modality(read_dataset(dataset), plan, store, ExtractOptions()))
    before = peak_mib()
    again = min(
        seconds(lambda: extract_modality(read_dataset(dataset), plan, store, ExtractOptions()))
        for _ in range(3)
    )
    print(
        f"unchanged: {num_files:,} files extracted in {first:.1f} s, found unchanged in "
        f"{again:.2f} s ({num_files / again:,.0f} items/s); peak memory {before:.0f} MiB, "
        f"then {peak_mib():.0f} MiB"
    )
    print(f"unchanged: git status {git_status_seconds(dataset):.2f} s")


def git_status_seconds(folder: Path) -> float:
    """Return how long `git status` takes on a committed tree."""

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(folder), *words], check=True, stdout=subprocess.DEVNULL)

    git("init", "--quiet")
    git("add", "--all")
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "x")
    git("status")
    return min(seconds(lambda: git("status")) for _ in range(3))


def peak_mib() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_pictures(
    dataset: Path, count: int, suffix: str, size: tuple[int, int] = PICTURE_SIZE
) -> list[Path]:
    """Write a dataset of different pictures, smooth with some grain as photographs are."""
    rng = np.random.default_rng(0)
    paths, entities = [], []
    for number in range(count):
        name = f"pictures/{number // 1000}/{number}{suffix}"
        path = dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
        grain = rng.integers(-8, 9, smooth.shape, dtype=np.int16)
        picture = Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
        picture.save(path, compress_level=1)  # of PNG: quick to write
        paths.append(path)
        entities.append({"id": f"e{number}", "image": name})
    write_dataset(dataset, entities)
    return paths


def write_texts(dataset: Path, count: int) -> list[str]:
    """Write a dataset of different texts of 5 to 200 words."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 201, count)
    texts = [
        " ".join(f"word{word}" for word in rng.integers(20_000, size=length)) for length in lengths
    ]
    write_dataset(dataset, [{"id": f"e{n}", "text": text} for n, text in enumerate(texts)])
    return texts


def write_dataset(dataset: Path, entities: Sequence[dict[str, str]]) -> None:
    """Write the entities, and a triple in each split."""
    dataset.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(entity) for entity in entities)
    (dataset / "entities.jsonl").write_text("\n".join(lines))
    for split in ("train", "valid", "test"):
        (dataset / f"{split}.tsv").write_text("e0\tbeside\te1\n")


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=96, help="for ViT-B/32; 0 = leave out")
    parser.add_argument("--texts", type=int, default=96, help="for BERT-base; 0 = leave out")
    parser.add_argument(
        "--cheap",
        type=int,
        default=4000,
        help="JPEG of 640x480 for image_stats; 1/4 as many of 1600x1200, 1/2 as many PNG",
    )
    parser.add_argument("--files", type=int, default=0, help="unchanged files; 0 = leave out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to write")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        print(f"{len(os.sched_getaffinity(0))} cores, encoding on {device}", flush=True)
        if arguments.files:
            compare_unchanged(folder / "unchanged", arguments.files)
        if arguments.cheap:
            for name, suffix, size, count in (
                ("jpeg", ".jpg", PICTURE_SIZE, arguments.cheap),
                ("large-jpeg", ".jpg", PHOTO_SIZE, arguments.cheap // 4),
                ("png", ".png", PICTURE_SIZE, arguments.cheap // 2),
            ):
                paths = write_pictures(folder / name, count, suffix, size)
                compare_cheap(folder / name, paths, arguments.repeats)
            print_peak_memory(folder / "jpeg", "image_stats", {}, "image")
        if arguments.pictures:
            items: Sequence[Any] = write_pictures(folder / "vit", arguments.pictures, ".jpg")
            vit = VitB32(folder / "vit-weights", device)
            compare_backbone(vit, folder / "vit", items, arguments.repeats, device)
        if arguments.texts:
            items = write_texts(folder / "bert", arguments.texts)
            bert = BertBase(folder / "bert-weights", device)
            compare_backbone(bert, folder / "bert", items, arguments.repeats, device)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
