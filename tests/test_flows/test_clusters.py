"""Extraction by Dask and by Ray: the store is a single process's, even if a worker is killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cluster_world
import pytest
from cluster_world import contents
from small_runs import mocme, settings

import flows.inputs
from extractors.options import ExtractOptions
from flows.server import clusters
from storage.features.shards import shard_spaces

NO_DASK = pytest.mark.skipif(find_spec("prefect_dask") is None, reason="prefect-dask is absent")
NO_RAY = pytest.mark.skipif(find_spec("prefect_ray") is None, reason="prefect-ray is absent")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A dataset that was extracted by this process, into its folder `alone`."""
    root = tmp_path_factory.mktemp("clusters") / "dataset"
    cluster_world.write_pictures(root, side=600)
    extract(root, "alone")
    return root


def extract(root: Path, store: str, *pairs: str, command: str = "extract") -> None:
    """Extract into a folder of the dataset's."""
    words = settings(f"store={root / store}", f"runs={root / store}-runs", *pairs)
    done = mocme(command, root / "mocme.yaml", "--json", *words)
    assert done.exit_code == 0, done.stderr
    num_pictures = cluster_world.NUM_PICTURES
    assert done.json["extracted"] == {
        "image": {"new": num_pictures * 9 // 10, "cached": 0, "failed": 8, "missing": 0},
        "numeric": {"new": num_pictures, "cached": 0, "failed": 0, "missing": 0},
    }


class Killer(threading.Thread):
    """Kills, once, the process that has just stored the first pictures of a shard."""

    def __init__(self, store: Path) -> None:
        super().__init__(daemon=True)
        self.store = store
        self.killed: int | None = None
        self.left = 0

    def run(self) -> None:
        while self.killed is None:
            time.sleep(0.005)
            for pid, data in at_work(self.store):
                before = data.stat().st_size
                if before > 2**16:  # something was committed beside the description
                    os.kill(pid, signal.SIGKILL)
                    self.killed, self.left = pid, len(shard_spaces(self.store))
                    return


def at_work(store: Path) -> Iterator[tuple[int, Path]]:
    """Yield the processes below this one that have a shard of pictures open, and its file."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        try:
            files = [Path(file.path) for file in process.open_files()]
        except psutil.Error:
            continue
        for path in files:
            if path.name == "data.mdb" and path.parents[1].name == "image_stats":
                yield process.pid, path


@pytest.mark.slow
@NO_DASK
def test_a_dask_worker_is_killed(dataset: Path) -> None:
    killer = Killer(dataset / "dask")
    killer.start()
    extract(dataset, "dask", "extract.task_runner=dask", "extract.cluster_workers=2")
    assert killer.killed is not None
    assert killer.left > 0
    assert contents(dataset / "dask") == contents(dataset / "alone")
    assert shard_spaces(dataset / "dask") == []


@NO_DASK
def test_a_cluster_of_this_machine_answers_its_own_process_alone() -> None:
    from distributed import Client, Security

    options = ExtractOptions(task_runner="dask", cluster_workers=1)
    with clusters._build_runner(options) as runner:
        address = runner.client.cluster.scheduler_address  # type: ignore[attr-defined]
        assert address.startswith("tls://")
        with pytest.raises(OSError, match=r"timed out|certificate"):
            Client(address, security=Security.temporary(), timeout=2)


@NO_DASK
def test_a_cluster_that_is_running_is_used_by_its_address(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        monkeypatch.setattr("distributed.LocalCluster", None)
        extract(dataset, "address", "extract.task_runner=dask", f"extract.cluster={address}")
    assert contents(dataset / "address") == contents(dataset / "alone")


@NO_RAY
@pytest.mark.slow
def test_ray(dataset: Path) -> None:
    extract(dataset, "ray", "extract.task_runner=ray")
    assert contents(dataset / "ray") == contents(dataset / "alone")


@pytest.mark.parametrize("command", ["extract", "train", "run"])
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_runner_that_is_not_installed(
    name: str, command: str, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows.inputs, "find_spec", lambda _: None)
    words = settings(f"store={dataset / 'absent'}", f"extract.task_runner={name}")
    done = mocme(command, dataset / "mocme.yaml", *words)
    assert done.exit_code == 2
    assert f"found '{name}' and no prefect-{name}" in " ".join(done.stderr.split())
    assert f"pip install 'mocme[{name}]'" in " ".join(done.stderr.split())
    assert "pip install 'mocme'" not in done.stderr  # in a table brackets are no markup
    assert not (dataset / "absent").exists()


@NO_DASK
def test_no_cluster_at_the_address(dataset: Path) -> None:
    import dask.config

    address = "tcp://127.0.0.1:1"
    store = f"store={dataset / 'no-cluster'}"
    words = settings(store, "extract.task_runner=dask", f"extract.cluster={address}")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        done = mocme("extract", dataset / "mocme.yaml", *words)
    assert done.exit_code == 2
    assert f"found no dask cluster at {address}" in " ".join(done.stderr.split())


@NO_DASK
def test_what_is_no_address_at_all(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(options: ExtractOptions) -> None:
        """Raise what dask's client does, without what it leaves in this process when it fails."""
        raise ValueError(f"missing port number in address {options.cluster!r}")

    monkeypatch.setattr(clusters, "_build_runner", refuse)
    store = f"store={dataset / 'no-address'}"
    words = settings(store, "extract.task_runner=dask", "extract.cluster=nonsense")
    done = mocme("extract", dataset / "mocme.yaml", *words)
    assert done.exit_code == 2
    assert "found no dask cluster at nonsense: missing port number" in " ".join(done.stderr.split())
