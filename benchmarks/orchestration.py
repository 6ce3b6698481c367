"""What Prefect adds to a run of which everything is fresh, and our imports to Prefect's.

    python benchmarks/orchestration.py                        # the sample graph
    python benchmarks/orchestration.py --entities 100000      # as many texts, two triples each

Runs the pipeline once, so that everything is fresh. Then, one after the other in processes of their
own and several times over: the pipeline again as `mocme run` has it, with a temporary server; again
beside a server that is already running; and the same functions called without Prefect. Prints the
median seconds of each, start-up included, and by how much importing our flows, which import
Prefect, takes longer than importing Prefect.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.error import URLError
from urllib.request import urlopen

import yaml
from growth import write_dataset

BRIEF = {
    "dataset": ".",
    "modalities": {"text": {"extractor": "text_hash"}},
    "model": {"dim": 8},
    "train": {"epochs": 1, "batch_size": 8192, "negatives": {"mode": "sampled", "num": 8}},
    "predict": {"relations": []},
}
"""A config of a training of many entities whose outcome does not matter.

Nothing is predicted: that costs the first run the square of the entities.
"""
PREFECT = "import prefect, prefect.task_runners, prefect.artifacts"
OURS = "import flows.pipeline, flows.extract, flows.train, flows.evaluate, flows.predict"


def main() -> None:
    """Measure and print, or be one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, help="default: the sample graph")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        run_bare(options.bare)
        return
    with tempfile.TemporaryDirectory(prefix="mocme-orchestration-") as folder:
        config = write_project(Path(folder) / "project", options.entities)
        run = [sys.executable, "-m", "mocme", "run", str(config), "--json"]
        print(f"the first run: {seconds_of(run):.1f} s")
        bare = [sys.executable, __file__, "--bare", str(config)]
        with running_server(Path(folder) / "prefect") as server:
            kinds = {
                "the pipeline, with a temporary server": (run, {}),
                "the pipeline, beside a running server": (run, server),
                "the same functions without Prefect": (bare, {}),
            }
            found = [
                {name: seconds_of(command, more) for name, (command, more) in kinds.items()}
                for _ in range(options.rounds)
            ]
    for name in kinds:
        print(f"{name}: {_spread([seconds[name] for seconds in found])}")
    ours = seconds_of_our_imports(4 * options.rounds)
    print(f"our flows' imports above Prefect's: {_spread(ours)}")


def seconds_of_our_imports(pairs: int) -> list[float]:
    """Import Prefect, then Prefect and our flows, in turn, and return what each pair differs by."""
    return [
        seconds_of([sys.executable, "-c", OURS]) - seconds_of([sys.executable, "-c", PREFECT])
        for _ in range(pairs)
    ]


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def write_project(root: Path, num_entities: int | None) -> Path:
    """Write a dataset and return its config."""
    if num_entities is None:
        from extractors.sample import write_sample

        write_sample(root)
        return root / "mocme.yaml"
    root.mkdir()
    write_dataset(root, num_entities)
    config = root / "mocme.yaml"
    config.write_text(yaml.safe_dump(BRIEF))
    return config


def run_bare(path: Path) -> None:
    """Find every stage fresh, as the pipeline does, without Prefect."""
    from extractors.extraction import extract_modality
    from flows.configs.pipeline_config import load_config
    from flows.inputs import plan_modality
    from flows.stages.keys import evaluate_key, predict_key, train_key
    from flows.stages.stage import why_stale
    from flows.stages.staged_run import StagedRun
    from storage.datasets.dataset import read_dataset

    config = load_config(path)
    dataset = read_dataset(config.dataset, config.split_salt)
    found = {
        name: extract_modality(dataset, plan_modality(config, name), config.store, config.extract)
        for name in config.modalities
    }
    digests = {name: it.content_digest for name, it in sorted(found.items())}
    key = train_key(config, dataset.graph.digest, digests)
    folder = StagedRun.of(config.runs, key)
    stale = [
        why_stale(folder, it)
        for it in (key, evaluate_key(folder.trained), predict_key(folder.trained, config))
    ]
    if stale != [None] * 3:
        raise SystemExit(f"found stale stages: {stale}; wanted: none")


def seconds_of(command: list[str], environment: Mapping[str, str] | None = None) -> float:
    """Run a command to its end."""
    start = time.perf_counter()
    subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, **(environment or {})}
    )
    return time.perf_counter() - start


@contextmanager
def running_server(home: Path) -> Iterator[Mapping[str, str]]:
    """Start a server, and yield what a process must know to use it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": url}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--no-ui"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"{url}/health")
        yield environment
    finally:
        server.terminate()
        server.wait()


def wait_for(address: str) -> None:
    """Wait until a server answers, two minutes at most."""
    deadline = time.monotonic() + 120
    while True:
        try:
            urlopen(address, timeout=5)  # noqa: S310 - our own address
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    main()
