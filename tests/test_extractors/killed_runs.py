"""Extracts, is killed at random moments, and extracts again: `python killed_runs.py --help`.

Everything is imported before the first fork, so that a kill meets work and no start-up.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from extractors.base import Runtime
from extractors.extraction import ModalityPlan, extract_modality
from extractors.options import ExtractOptions
from extractors.registry import build_extractor, load_extractor_class
from storage.datasets.dataset import read_dataset


def extract(root: Path, store: Path, plan: dict[str, Any]) -> None:
    """Extract one modality."""
    extractor = build_extractor(plan["extractor"], plan["config"], Runtime("cpu", offline=True))
    options = ExtractOptions(batch_size=8)
    modality = ModalityPlan("modality", extractor, (plan["field"],))
    extract_modality(read_dataset(root), modality, store, options)


def run(root: Path, store: Path, plan: dict[str, Any], moment: tuple[int, float] | None) -> bool:
    """Extract in a child, killed at a moment, if any: after some commits and some seconds.

    Returns:
        Whether the kill came in time.
    """
    child = os.fork()
    if not child:
        extract(root, store, plan)
        os._exit(0)
    num_commits, last = 0, _last_commit(store)
    while moment is None or num_commits < moment[0]:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return _was_killed(status)
        time.sleep(0.001)
        commit = _last_commit(store)
        num_commits, last = num_commits + (commit != last), commit
    time.sleep(moment[1])
    os.kill(child, signal.SIGKILL)
    return _was_killed(os.waitpid(child, 0)[1])


def _last_commit(store: Path) -> list[int]:
    """When the stored features were last written."""
    with suppress(FileNotFoundError):  # it is just being made
        return [path.stat().st_mtime_ns for path in store.glob("*/*/data.mdb")]
    return []


def _was_killed(status: int) -> bool:
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"a run ended with {code}")
    return code != 0


def main() -> None:
    """Run to the end once, then be killed `--kills` times; print the folders of whole stores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("stores", type=Path)
    parser.add_argument("plan", type=json.loads)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    load_extractor_class(arguments.plan["extractor"])
    moments = random.Random(arguments.seed)  # noqa: S311
    run(arguments.root, arguments.stores / "0", arguments.plan, None)
    num_kills, whole = 0, ["0"]
    while num_kills < arguments.kills:
        store = str(len(whole))
        while num_kills < arguments.kills and run(
            arguments.root,
            arguments.stores / store,
            arguments.plan,
            (moments.randint(1, 8), moments.uniform(0, 0.05)),
        ):
            num_kills += 1
        run(arguments.root, arguments.stores / store, arguments.plan, None)
        whole.append(store)
    sys.stdout.write(json.dumps({"kills": num_kills, "stores": whole}))


if __name__ == "__main__":
    main()
