"""Damages everything that mocme reads, by the thousand, and counts how its commands end.

    python benchmarks/fuzz.py                       # some 2,000 cases, about ten minutes
    python benchmarks/fuzz.py --cases 1000 --only "run folders"
    python benchmarks/fuzz.py --seed 7 --only stores --case 123   # one case, and what it printed

Surfaces: the tables of a dataset, OpenKE folders, YAML, `--set`, run folders, stores, published
features (a command each, in a process of its own), and media (all in one extraction). A case is
right if its command does its work or ends with clear errors, exit code 1 or 2. Wrong are: an
exception that is none of mocme's, an end by a signal, more than a minute, control characters in
what is printed, and any change to a file that is not mocme's, in the case's folder or around it.
"""

import argparse
import importlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzzing.damage import BYTES
from fuzzing.surfaces import (
    CONFIG,
    SURFACES,
    USERS_FILES,
    copy_world,
    plant_users_files,
    write_openke,
    write_published,
)
from fuzzing.watching import Ended, listing, run_command

_WORLD_CONFIG = """\
dataset: graph
store: features
runs: runs
modalities:
  text: {extractor: text_hash, field: [name, text]}
  image: {extractor: image_stats}
extract: {num_workers: 1}
model: {dim: 8}
train: {epochs: 2}
predict: {k: 3}
"""
_MEDIA_CONFIG = """\
dataset: graph
modalities:
  image: {extractor: image_stats}
  audio: {extractor: audio_mel}
  video: {extractor: video_stats}
extract: {num_workers: 2, timeout_seconds: 20, max_failure_rate: 1.0}
"""
_MOCME = [sys.executable, "-P", "-m", "mocme"]
_ENDINGS = ("done", "one clear error", "foreign exception", "crash", "hang")
_COLUMNS = (*_ENDINGS, "hidden characters", "files touched")


def main() -> None:
    """Run the battery and print a table; the exit code is 1 if anything is wrong."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="mocme-fuzz-") as arena:
        num_wrong = _run_all(Path(arena), options)
    sys.exit(1 if num_wrong else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=300, help="of each surface")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*SURFACES, "media"], help="this surface alone")
    parser.add_argument("--case", type=int, help="this case alone; prints what it printed")
    return parser


def _run_all(arena: Path, options: argparse.Namespace) -> int:
    """Print a row for each surface, and return how many cases were wrong."""
    os.environ.update(OMP_NUM_THREADS="1", HOME=str(arena / "home"), COLUMNS="200")
    os.environ.update(XDG_CACHE_HOME=str(arena / "cache"), XDG_CONFIG_HOME=str(arena / "cache"))
    _surround(arena)
    world = _build_world(arena / "world")
    _import_all()
    print("| Surface | cases | " + " | ".join(_COLUMNS) + " |")
    print("|---|" + "---|" * (1 + len(_COLUMNS)))
    num_wrong = 0
    for name in (*SURFACES, "media") if options.only is None else (options.only,):
        if name == "media":
            counts = _damage_media(arena, options)
        else:
            counts = _damage_surface(name, world, arena, options)
        cells = [counts["cases"], *(counts[column] for column in _COLUMNS)]
        print(f"| {name} | " + " | ".join(map(str, cells)) + " |", flush=True)
        num_wrong += sum(counts[column] for column in _COLUMNS[2:])
    return num_wrong


def _import_all() -> None:
    """Import what the commands do, so that their processes need not."""
    import torch

    for module in ("mocme.cli.app", "mocme.report.write", "model.prediction.predictor"):
        importlib.import_module(module)

    torch.set_num_threads(1)


def _surround(arena: Path) -> None:
    """Lay out what lies around all cases and must stay as it is."""
    for folder in ("home", "outside", "cases/outside"):
        (arena / folder).mkdir(parents=True)
        (arena / folder / "thesis.tex").write_text("years of work\n")
        (arena / folder / "link").symlink_to("thesis.tex")


def _build_world(world: Path) -> Path:
    """Write the sample graph, extract, train, and answer, once."""
    world.mkdir()
    subprocess.run([*_MOCME, "sample", "graph", "--things", "60"], cwd=world, check=True)
    (world / CONFIG).write_text(_WORLD_CONFIG)
    subprocess.run([*_MOCME, "run", CONFIG], cwd=world, check=True, capture_output=True)
    ids = [json.loads(line)["id"] for line in (world / "graph/entities.jsonl").open()]
    write_published(world / "published", ids)
    write_openke(world / "openke", world / "graph")
    return world


def _damage_surface(
    name: str, world: Path, arena: Path, options: argparse.Namespace
) -> Counter[str]:
    counts: Counter[str] = Counter()
    cases = range(options.cases) if options.case is None else [options.case]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ends = pool.map(lambda number: _run_case(name, number, world, arena, options), cases)
        for number, (words, ended, touched) in zip(cases, ends, strict=True):
            counts["cases"] += 1
            counts[ended.how] += 1
            counts["hidden characters"] += ended.hides
            counts["files touched"] += bool(touched)
            is_wrong = ended.how in _ENDINGS[2:] or ended.hides or touched
            if is_wrong or options.case is not None:
                _tell(f"{name} --seed {options.seed} --case {number}", words, ended, touched)
    return counts


def _tell(case: str, words: list[str], ended: Ended, touched: list[str]) -> None:
    print(f"--- {case}: mocme {' '.join(words)!r}: {ended.how} ({ended.code})", file=sys.stderr)
    print(f"    {ended.said!r}\n    touched: {touched}", file=sys.stderr)


def _run_case(
    name: str, number: int, world: Path, arena: Path, options: argparse.Namespace
) -> tuple[list[str], Ended, list[str]]:
    """Damage a copy of the world, run a command on it, and list what that touched."""
    draw = random.Random(f"{options.seed} {name} {number}")
    case = arena / "cases" / f"{name.replace(' ', '-')}-{number}"
    copy_world(world, case)
    plant_users_files(case)
    words = SURFACES[name](draw, case)
    around = [arena / "home", arena / "outside", arena / "cases/outside", world]
    before = {place: listing(place) for place in around}
    mine = {name: (case / name).read_bytes() for name in USERS_FILES if (case / name).is_file()}
    ended = run_command(words, case)
    touched = [str(place) for place in around if listing(place) != before[place]]
    touched += [name for name, content in mine.items() if _read(case / name) != content]
    shutil.rmtree(case)
    return words, ended, touched


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _damage_media(arena: Path, options: argparse.Namespace) -> Counter[str]:
    """Damage pictures, sounds and clips, each as many as the cases, and extract all at once."""
    case = arena / "cases/media"
    case.mkdir()
    draw = random.Random(f"{options.seed} media")
    shutil.copytree(arena / "world/graph", case / "graph")
    (case / "config.yaml").write_text(_MEDIA_CONFIG)
    fields = ("image", "audio", "video")
    lines = (case / "graph/entities.jsonl").read_text().splitlines()
    entities = [json.loads(line) for line in lines]
    for field in fields:
        listed = [path for entity in entities for path in entity.get(field, [])]
        sound = [path for path in listed if (case / "graph" / path).is_file()]
        lists: list[list[str]] = [[] for _ in entities]
        for number in range(options.cases):
            source = case / "graph" / draw.choice(sound)
            target = source.with_name(f"damaged-{number}{source.suffix}")
            shutil.copyfile(source, target)
            draw.choice(BYTES)(draw, target)
            lists[number % len(entities)].append(str(target.relative_to(case / "graph")))
        for entity, paths in zip(entities, lists, strict=True):
            entity[field] = paths
    (case / "graph/entities.jsonl").write_text("".join(json.dumps(it) + "\n" for it in entities))
    before = listing(arena / "outside"), listing(case / "graph")
    done = subprocess.run(
        [*_MOCME, "extract", "config.yaml", "--json"], cwd=case, capture_output=True
    )
    touched = before != (listing(arena / "outside"), listing(case / "graph"))
    return _count_media(done, options.cases * len(fields), touched=touched)


def _count_media(
    done: "subprocess.CompletedProcess[bytes]", num_cases: int, *, touched: bool
) -> Counter[str]:
    """Count items: a vector is done, a recorded failure a clear error, neither of them a crash."""
    counts: Counter[str] = Counter({"cases": num_cases, "files touched": int(touched)})
    if done.returncode or b"Traceback" in done.stderr:
        print(done.stderr.decode(errors="replace")[-2000:], file=sys.stderr)
        return counts + Counter({"foreign exception": 1})
    for found in json.loads(done.stdout)["extracted"].values():
        counts["done"] += found["new"] + found["cached"]
        counts["one clear error"] += found["failed"]
    counts["crash"] = num_cases - counts["done"] - counts["one clear error"]
    return counts


if __name__ == "__main__":
    main()
