"""A stand-in for the hub: its cache's layout on disk, and a server of its HTTP interface."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit


def fill_cache(hub_cache: Path, model: str, commit: str, checkpoint: Path) -> None:
    """Put a checkpoint into the hub's local cache as the commit of the main branch."""
    repository = hub_cache / f"models--{model.replace('/', '--')}"
    shutil.copytree(checkpoint, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


@contextmanager
def serve_hub(model: str, commits: dict[str, str], folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve one repository, all of whose revisions hold the same files.

    Args:
        model: The repository's id.
        commits: Commit by name of branch or tag.
        folder: The files.

    Yields:
        The endpoint's address, and a list of the files downloaded, which grows.
    """
    hub = _Hub(model, commits, folder)
    Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{hub.server_port}", hub.downloaded
    finally:
        hub.shutdown()
        hub.server_close()


class _Hub(ThreadingHTTPServer):
    def __init__(self, model: str, commits: dict[str, str], folder: Path) -> None:
        self.model, self.commits, self.folder = model, commits, folder
        self.downloaded: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        api, files = f"/api/models/{self.server.model}", f"/{self.server.model}/resolve/"
        if path == api or path.startswith(f"{api}/revision/"):
            self._answer_commit(path.removeprefix(api).removeprefix("/revision/") or "main")
        elif path.startswith(f"{api}/tree/"):
            listed = sorted(found for found in self.server.folder.iterdir() if found.is_file())
            self._send_json([_describe(found) for found in listed])
        elif path.startswith(files):
            self._send_file(*path.removeprefix(files).split("/", 1))
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _answer_commit(self, revision: str) -> None:
        known = self.server.commits
        commit = revision if revision in known.values() else known.get(revision)
        if commit is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            model = self.server.model
            self._send_json({"id": model, "modelId": model, "sha": commit, "siblings": []})

    def _send_file(self, commit: str, name: str) -> None:
        content = (self.server.folder / name).read_bytes()
        if self.command == "GET":
            self.server.downloaded.append(name)
        etag = hashlib.sha256(content).hexdigest()
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit})

    def _send_json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _describe(path: Path) -> dict[str, Any]:
    """Describe a file as the hub's tree listing does."""
    blob = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
    return {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": blob}
