"""Where weights come from: folders, the hub's cache, the hub; and what is said if they do not."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from local_hub import fill_cache, serve_hub

from extractors.pretrained import TRANSFORMERS_FILES
from extractors.weights import WeightsError, resolve

MODEL = "mocme-tests/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BOUND_SECONDS = 30.0

RESOLVE = """
import json, sys
from extractors import weights
from extractors.pretrained import TRANSFORMERS_FILES
weights.HUB_TIMEOUT_SECONDS, requests = json.loads(sys.argv[1])
for model, revision, offline in requests:
    try:
        found = weights.resolve(model, revision, offline, TRANSFORMERS_FILES)
        print(json.dumps({"folder": str(found.folder), "identity": found.identity}))
    except weights.WeightsError as error:
        print(json.dumps({"error": str(error)}))
"""

Request = tuple[str, str | None, bool]
Answer = dict[str, str]
MAIN_BRANCH: Request = (MODEL, None, False)


class HubUser:
    """A process of its own, since the hub's client reads its environment when imported."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def cache(self) -> Path:
        return self.home / "hub"

    def resolve(
        self, endpoint: str, *requests: Request, timeout_seconds: float = 10.0, **environment: str
    ) -> list[Answer]:
        """Resolve one model after the other; no request: the main branch."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        own = {"HF_HOME": str(self.home), "HF_ENDPOINT": endpoint, **environment}
        arguments = json.dumps([timeout_seconds, requests or [MAIN_BRANCH]])
        answer = subprocess.run(
            [sys.executable, "-c", RESOLVE, arguments],
            env={**inherited, **own},
            capture_output=True,
            text=True,
            timeout=BOUND_SECONDS,
            check=True,
        )
        return [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.fixture
def hub_user(tmp_path: Path) -> HubUser:
    return HubUser(tmp_path / "home")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache that this process looks into."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder that looks like a checkpoint, README and code included."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in ("config.json", "vocab.txt", "model.safetensors", "pytorch_model.bin"):
        (folder / name).write_text(f"content of {name}")
    (folder / "README.md").write_text("about")
    (folder / "modeling.py").write_text("raise SystemExit")
    return folder


def refused_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def identity(folder: Path) -> str:
    return resolve(str(folder), None, True, TRANSFORMERS_FILES).identity


class TestLocalFolder:
    def test_folder_is_absolute(self, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(checkpoint.parent))
        assert resolve("~/checkpoint", None, True, TRANSFORMERS_FILES).folder == checkpoint

    def test_hub_id_is_no_folder_of_the_working_folder(
        self, hub_cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill_cache(hub_cache, MODEL, COMMIT, checkpoint)
        (checkpoint.parent / MODEL).parent.mkdir()
        checkpoint.rename(checkpoint.parent / MODEL)
        monkeypatch.chdir(checkpoint.parent)
        assert resolve(MODEL, None, True, TRANSFORMERS_FILES).identity == COMMIT

    def test_identity_survives_a_move_and_what_no_loader_reads(self, checkpoint: Path) -> None:
        before = identity(checkpoint)
        moved = checkpoint.rename(checkpoint.parent / "elsewhere")
        (moved / "README.md").write_text("more about")
        (moved / "pytorch_model.bin").unlink()
        assert identity(moved) == before

    @pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt"])
    def test_identity_follows_what_a_loader_reads(self, checkpoint: Path, name: str) -> None:
        before = identity(checkpoint)
        (checkpoint / name).write_text("something else")
        assert identity(checkpoint) != before

    def test_identity_tells_names_from_contents(self, checkpoint: Path) -> None:
        before = identity(checkpoint)
        (checkpoint / "vocab.txt").rename(checkpoint / "merges.txt")
        assert identity(checkpoint) != before

    def test_pickled_weights_count_where_there_are_no_others(self, checkpoint: Path) -> None:
        (checkpoint / "model.safetensors").unlink()
        before = identity(checkpoint)
        (checkpoint / "pytorch_model.bin").write_text("something else")
        assert identity(checkpoint) != before

    def test_folder_without_weights_is_refused(self, checkpoint: Path) -> None:
        (checkpoint / "model.safetensors").unlink()
        (checkpoint / "pytorch_model.bin").unlink()
        with pytest.raises(WeightsError, match=r"no weights in .*checkpoint; allowed: model\.safe"):
            identity(checkpoint)

    def test_revision_of_a_folder_is_refused(self, checkpoint: Path) -> None:
        with pytest.raises(WeightsError, match=r"'main'.*no revisions"):
            resolve(str(checkpoint), "main", True, TRANSFORMERS_FILES)

    @pytest.mark.parametrize("model", ["./gone", "../gone", "/gone", "~/gone"])
    def test_path_that_is_no_folder_is_refused(self, model: str) -> None:
        with pytest.raises(WeightsError, match=rf"'{model}', which is no folder"):
            resolve(model, None, False, TRANSFORMERS_FILES)


class TestHubCache:
    @pytest.mark.parametrize("revision", [None, "main", COMMIT])
    def test_snapshot_is_known_by_its_commit(
        self, hub_cache: Path, checkpoint: Path, revision: str | None
    ) -> None:
        fill_cache(hub_cache, MODEL, COMMIT, checkpoint)
        found = resolve(MODEL, revision, True, TRANSFORMERS_FILES)
        assert found.identity == COMMIT
        assert (found.folder / "config.json").is_file()

    def test_snapshot_without_weights_is_refused(self, hub_cache: Path, checkpoint: Path) -> None:
        (checkpoint / "model.safetensors").unlink()
        (checkpoint / "pytorch_model.bin").unlink()
        fill_cache(hub_cache, MODEL, COMMIT, checkpoint)
        with pytest.raises(WeightsError, match=rf"'{MODEL}' at {COMMIT} has no weights; allowed"):
            resolve(MODEL, None, True, TRANSFORMERS_FILES)

    def test_absent_model_is_named_with_what_was_tried(self, hub_cache: Path) -> None:
        with pytest.raises(WeightsError) as caught:
            resolve(MODEL, "v1.0", True, TRANSFORMERS_FILES)
        assert f"'{MODEL}' is no folder" in str(caught.value)
        assert "revision: v1.0; offline): not, or not wholly, in the local" in str(caught.value)
        assert str(hub_cache) in str(caught.value)
        assert "allowed: a local folder" in str(caught.value)

    @pytest.mark.usefixtures("hub_cache")
    def test_what_is_neither_folder_nor_id_is_refused(self) -> None:
        with pytest.raises(WeightsError, match="'models/of/mine' is no folder"):
            resolve("models/of/mine", None, True, TRANSFORMERS_FILES)


class TestHub:
    def test_downloads_safetensors_and_no_other_weights(
        self, hub_user: HubUser, checkpoint: Path
    ) -> None:
        again_and_offline = (MAIN_BRANCH, MAIN_BRANCH, (MODEL, None, True))
        with serve_hub(MODEL, {"main": COMMIT}, checkpoint) as (endpoint, downloaded):
            answers = hub_user.resolve(endpoint, *again_and_offline)
        assert sorted(downloaded) == ["config.json", "model.safetensors", "vocab.txt"]
        assert [answer["identity"] for answer in answers] == [COMMIT] * 3
        assert sorted(found.name for found in Path(answers[0]["folder"]).iterdir()) == sorted(
            downloaded
        )

    def test_downloads_pickled_weights_if_there_are_no_others(
        self, hub_user: HubUser, checkpoint: Path
    ) -> None:
        (checkpoint / "model.safetensors").unlink()
        with serve_hub(MODEL, {"main": COMMIT}, checkpoint) as (endpoint, downloaded):
            hub_user.resolve(endpoint)
        assert sorted(downloaded) == ["config.json", "pytorch_model.bin", "vocab.txt"]

    def test_completes_what_another_tool_left_incomplete(
        self, hub_user: HubUser, checkpoint: Path, tmp_path: Path
    ) -> None:
        partial = tmp_path / "partial"
        partial.mkdir()
        shutil.copy(checkpoint / "config.json", partial)
        fill_cache(hub_user.cache, MODEL, COMMIT, partial)
        with serve_hub(MODEL, {"main": COMMIT}, checkpoint) as (endpoint, downloaded):
            hub_user.resolve(endpoint, (MODEL, COMMIT, False))
        assert sorted(downloaded) == ["model.safetensors", "vocab.txt"]

    def test_tag_branch_and_commit_are_one_identity(
        self, hub_user: HubUser, checkpoint: Path
    ) -> None:
        commits = {"main": COMMIT, "v1.0": COMMIT, "next": "f" * 40}
        requests = [(MODEL, revision, False) for revision in ("v1.0", COMMIT, "next")]
        with serve_hub(MODEL, commits, checkpoint) as (endpoint, _):
            answers = hub_user.resolve(endpoint, *requests)
        assert [answer["identity"] for answer in answers] == [COMMIT, COMMIT, "f" * 40]

    def test_what_the_hub_does_not_have_is_refused(
        self, hub_user: HubUser, checkpoint: Path
    ) -> None:
        other = "mocme-tests/other"
        with serve_hub(MODEL, {"main": COMMIT}, checkpoint) as (endpoint, _):
            answers = hub_user.resolve(endpoint, (MODEL, "v9", False), (other, None, False))
        assert "(revision: v9; online): 404" in answers[0]["error"]
        assert f"'{other}'" in answers[1]["error"]
        assert "(revision: main; online): 404" in answers[1]["error"]

    def test_switch_in_the_environment_is_honoured(
        self, hub_user: HubUser, checkpoint: Path
    ) -> None:
        fill_cache(hub_user.cache, MODEL, COMMIT, checkpoint)
        absent = ("mocme-tests/absent", None, False)
        with serve_hub(MODEL, {"main": "f" * 40}, checkpoint) as (endpoint, downloaded):
            answers = hub_user.resolve(endpoint, MAIN_BRANCH, absent, HF_HUB_OFFLINE="1")
        assert not downloaded
        assert answers[0]["identity"] == COMMIT
        assert "(revision: main; offline)" in answers[1]["error"]

    def test_no_network_leaves_the_cache(self, hub_user: HubUser, checkpoint: Path) -> None:
        fill_cache(hub_user.cache, MODEL, COMMIT, checkpoint)
        requests = [MAIN_BRANCH, (MODEL, COMMIT, False), ("mocme-tests/absent", None, False)]
        start = time.monotonic()
        answers = hub_user.resolve(f"http://127.0.0.1:{refused_port()}", *requests)
        assert time.monotonic() - start < BOUND_SECONDS / 2
        assert [answer.get("identity") for answer in answers] == [COMMIT, COMMIT, None]
        assert "Connection refused" in answers[2]["error"]

    def test_silent_hub_leaves_the_cache(self, hub_user: HubUser, checkpoint: Path) -> None:
        fill_cache(hub_user.cache, MODEL, COMMIT, checkpoint)
        requests = [MAIN_BRANCH, ("mocme-tests/absent", None, False)]
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            start = time.monotonic()
            answers = hub_user.resolve(endpoint, *requests, timeout_seconds=0.2)
        assert time.monotonic() - start < BOUND_SECONDS / 2
        assert answers[0]["identity"] == COMMIT
        assert "online): timed out" in answers[1]["error"]
