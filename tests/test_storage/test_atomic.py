"""Files that take their place whole: whoever is killed, in the way, or at it at the same time."""

import errno
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from storage.atomic import leftovers, replace_link, replacing, write_whole
from storage.errors import MocmeError, WriteError


def test_a_file_takes_its_place_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("old", "new"):
        write_whole(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_a_new_file_whatever_a_library_does(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "matrix") as temporary:
        save_file({"rows": np.arange(3)}, temporary)  # renames a file of mode 0600
    expected = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "matrix").stat().st_mode) == expected
    assert load_file(tmp_path / "matrix")["rows"].tolist() == [0, 1, 2]


def test_a_link_that_lies_in_wait_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "thesis.tex"
    victim.write_text("years of work")
    monkeypatch.setattr("secrets.token_hex", lambda num_bytes: "0" * 2 * num_bytes)
    with replacing(tmp_path / "file") as temporary:
        name = temporary.name
    (tmp_path / "file").unlink()
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(WriteError, match="file: cannot be written"):
        write_whole(tmp_path / "file", "anything")
    assert victim.read_text() == "years of work"


def test_a_link_at_the_path_is_replaced_and_what_it_points_to_kept(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", "new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "kept"


def test_threads_and_containers_of_one_process_id_do_not_share_a_temporary(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            write_whole(tmp_path / "file", f"{number}" * 10_000)
            assert len(set((tmp_path / "file").read_text())) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    for name in ("n" * 255, "\N{PILE OF POO}" * 63):
        write_whole(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name


def test_an_error_keeps_the_old_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fill_the_disk() -> None:
        with replacing(path) as temporary:
            temporary.write_text("a part")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WriteError) as caught:
        fill_the_disk()
    assert isinstance(caught.value, MocmeError)
    assert str(caught.value) == (
        f"{path}: cannot be written, what stood there is kept: No space left on device"
    )
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "file"):
        absent.read_text()
    assert caught.value.filename == str(absent)
    assert not list(tmp_path.iterdir())


def test_what_a_kill_leaves_is_recognised_and_nothing_else(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        with replacing(tmp_path / "file") as temporary:
            temporary.write_text("a part")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    [left] = leftovers(tmp_path)
    others = [".file.part", ".notes.1234.part", ".my-talk.part", "file.a-1-0123456789abcdef.part"]
    for name in others:
        (tmp_path / name).touch()
    last = left.name[-6]
    (tmp_path / f"{left.name[:-6]}{'1' if last == '0' else '0'}.part").mkdir()
    assert leftovers(tmp_path) == [left]


class TestReplaceLink:
    def test_points_elsewhere_at_once(self, tmp_path: Path) -> None:
        for target in ("first", "second"):
            replace_link(tmp_path / "newest", target)
            assert (tmp_path / "newest").readlink() == Path(target)
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_folder_in_its_place_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "newest/kept").mkdir(parents=True)
        with pytest.raises(WriteError, match="newest: cannot be written"):
            replace_link(tmp_path / "newest", "first")
        assert [path.name for path in tmp_path.iterdir()] == ["newest"]
        assert (tmp_path / "newest/kept").is_dir()
