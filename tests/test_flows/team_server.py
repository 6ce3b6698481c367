"""A team's setup in miniature: a Prefect server, a worker, and the project's own deployments.

Everything runs in processes of its own, started by the commands that prefect.yaml names.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = ("mocme", "flows", "extractors", "model", "storage")
SECONDS = 180.0
"""How long anything may take."""
SECONDS_TO_END = 20.0
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class TeamServer:
    """A folder as a checkout of the project would be, and what runs in it.

    Args:
        folder: A new folder; the dataset goes to its `data/demo`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for package in PACKAGES:
            (folder / package).symlink_to(ROOT / package)
        shutil.copy(ROOT / "prefect.yaml", folder)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/api"
        self._client = httpx.Client(timeout=SECONDS, trust_env=False)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_server(self) -> None:
        """Start the server and wait until it answers."""
        words = ["server", "start", "--host", "127.0.0.1", "--port", str(self._port), "--no-ui"]
        self._start("server", words)
        self.eventually(self._is_healthy)

    def start_worker(self) -> None:
        """Start a worker of the pool that prefect.yaml names."""
        self._start("worker", ["worker", "start", "--pool", "mocme", "--limit", "1"])

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End the server or the worker, with all that it has started, as systemd does."""
        process = self._processes.pop(name)
        os.killpg(process.pid, number)
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:  # a worker now and then does not heed SIGTERM
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def kill(self, name: str) -> None:
        """End the server or the worker, with all that it has started, as a power cut does."""
        process = self._processes.pop(name)
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        """End everything."""
        for name in reversed(list(self._processes)):
            self.stop(name)
        self._client.close()

    def prefect(self, *words: str) -> str:
        """Run a command of Prefect's and return what it printed."""
        done = subprocess.run(
            self._command(words), cwd=self.folder, env=self._environment(), capture_output=True
        )
        output = (done.stdout + done.stderr).decode()
        if done.returncode != 0:
            raise AssertionError(f"prefect {' '.join(words)}: {output}")
        return output

    def deploy(self, config: Path, *words: str) -> dict[str, Any]:
        """Deploy a config as its owner does, in its folder, and return what `--json` prints."""
        command = [sys.executable, "-m", "mocme", "deploy", config.name, "--json", *words]
        done = subprocess.run(
            command, cwd=config.parent, env=self._environment(), capture_output=True
        )
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Ask the server; while its database is locked it answers 503, which clients bear with."""

        def ask() -> httpx.Response | None:
            answer = self._client.post(f"{self.url}/{path}", json=body)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        found: httpx.Response = self.eventually(ask)
        return found

    def deployment(self, name: str) -> dict[str, Any]:
        """Return a deployment, `FLOW/NAME` or one named as its flow, as the server has it."""
        full_name = name if "/" in name else f"{name}/{name}"
        answer = self._client.get(f"{self.url}/deployments/name/{full_name}").raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def create_run(self, name: str, **parameters: Any) -> httpx.Response:
        """Ask for a run of a deployment, now."""
        path = f"deployments/{self.deployment(name)['id']}/create_flow_run"
        return self.post(path, {"parameters": parameters, "state": {"type": "SCHEDULED"}})

    def run(self, name: str, **parameters: Any) -> dict[str, Any]:
        """Run a deployment and return the run as it ended."""
        created = self.create_run(name, **parameters).raise_for_status()
        return self.ended(created.json()["id"])

    def flow_run(self, run_id: str) -> dict[str, Any]:
        """Return a run as the server has it."""
        found: dict[str, Any] = self._client.get(f"{self.url}/flow_runs/{run_id}").json()
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run."""

        def read() -> dict[str, Any] | None:
            run = self.flow_run(run_id)
            return run if run["state_type"] in ENDED else None

        found: dict[str, Any] = self.eventually(read)
        return found

    def runs_of(self, name: str) -> list[dict[str, Any]]:
        """Return all runs of a deployment, the last one first."""
        deployments = {"id": {"any_": [self.deployment(name)["id"]]}}
        wanted = {"deployments": deployments, "sort": "EXPECTED_START_TIME_DESC"}
        found: list[dict[str, Any]] = self.post("flow_runs/filter", wanted).json()
        return found

    def artifact(self, run: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        """Return the table that a run has published."""
        wanted = {"artifacts": {"key": {"any_": [key]}, "flow_run_id": {"any_": [run["id"]]}}}
        found: list[dict[str, Any]] = self.eventually(
            lambda: self.post("artifacts/filter", wanted).json()
        )
        table: list[dict[str, Any]] = json.loads(found[0]["data"])
        return table

    def eventually(self, read: Callable[[], Any]) -> Any:
        """Return what is true sooner or later."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            found = read()
            if found is not None and found is not False and found != []:
                return found
            time.sleep(0.3)
        logs = "\n".join((self.folder / f"{name}.log").read_text()[-3000:] for name in ("worker",))
        raise AssertionError(f"not within {SECONDS} seconds; the worker said:\n{logs}")

    def _is_healthy(self) -> bool:
        try:
            return self._client.get(f"{self.url}/health").is_success
        except httpx.TransportError:
            return False

    def _start(self, name: str, words: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self._command(words),
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _command(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "prefect", *words]

    def _environment(self) -> dict[str, str]:
        home = self.folder / "prefect"
        return {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_LOCAL_STORAGE_PATH": str(home / "storage"),
            "PREFECT_API_URL": self.url,
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "OMP_NUM_THREADS": "1",
        }


def write_small_config(folder: Path) -> None:
    """Make the runs of a sample's config quick."""
    path = folder / "mocme.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"] = {**config.get("model", {}), "dim": 8, "rule_length": 2}
    quick = {"epochs": 2, "eval_every": 1, "final": "selected"}
    config["train"] = {**config.get("train", {}), **quick}
    config["modalities"] = {
        name: entry for name, entry in config["modalities"].items() if name in ("image", "text")
    }
    config["extract"] = {**config.get("extract", {}), "num_workers": 1}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
