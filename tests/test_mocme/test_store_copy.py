"""`store copy` beside a run that writes, and the copy in the store's place."""

import shutil
import subprocess
import sys
from pathlib import Path

from cluster_world import contents
from small_runs import SMALL, mocme, settings


def test_copied_while_a_run_writes_and_restored(extracted: Path) -> None:
    config, store, copy = extracted / "mocme.yaml", extracted / "data/features", extracted / "copy"
    words = settings(*SMALL, "modalities.image.size=48", "modalities.text.dim=64")
    command = [sys.executable, "-m", "mocme", "extract", str(config), *words]
    num_copies = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        while run.poll() is None:
            assert mocme("store", "copy", store, copy).exit_code == 0
            assert "everything is sound" in mocme("store", "verify", copy).stdout
            num_copies += 1
        assert run.stderr is not None
        assert run.returncode == 0, run.stderr.read()
    assert num_copies > 1
    mocme("store", "copy", store, copy)
    assert contents(copy) == contents(store)

    shutil.rmtree(store)
    shutil.copytree(copy, store)
    told = mocme("extract", config, "--dry-run", "--json", *words).json["dry_run"]
    assert {found["contents"] for found in told.values()} == {0}


def test_what_is_refused(extracted: Path) -> None:
    store = extracted / "data/features"
    assert "found the store itself" in mocme("store", "copy", store, store).stderr
    done = mocme("store", "copy", extracted / "absent", extracted / "copy")
    assert (done.exit_code, "found no feature space" in done.stderr) == (2, True)
    assert not (extracted / "copy").exists()
