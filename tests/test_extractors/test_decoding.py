"""The worker processes: nothing that a decoder does may harm another item or the run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from child_processes import children
from scripted_extractor import DyingExtractor, ScriptedExtractor, UnloadableExtractor

from extractors.engine.decoding import DecodingPool, InlineDecoder, WorkerStartError
from extractors.loading import Failure
from storage.errors import MocmeError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, scripts: list[str]) -> list[tuple[int, Path]]:
    """Write one file per script. Returns the paths, keyed by position."""
    paths = [folder / f"{position}.txt" for position in range(len(scripts))]
    for path, script in zip(paths, scripts, strict=True):
        path.write_text(script)
    return list(enumerate(paths))


def decode(
    contents: list[tuple[int, Path]], num_workers: int = 2, timeout_seconds: float = 30
) -> dict[int, object]:
    with DecodingPool(ScriptedExtractor(), num_workers, timeout_seconds) as pool:
        answers = list(pool.load(iter(contents)))
    assert len(answers) == len(contents)
    return dict(answers)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_item_is_answered_once(folder: Path, num_workers: int) -> None:
    contents = write(folder, [f"vector {number}" for number in range(40)])
    assert decode(contents, num_workers) == {number: float(number) for number in range(40)}


def test_nothing_to_do_starts_nothing() -> None:
    assert decode([]) == {}


def test_large_items_arrive_whole_and_writable(folder: Path) -> None:
    for answer in decode(write(folder, ["array 9000000"] * 6)).values():
        assert isinstance(answer, np.ndarray)
        assert answer.shape == (9_000_000,)
        assert (answer == 7).all()
        answer[0] = 1


def test_bad_items_fail_alone_each_with_its_reason(folder: Path) -> None:
    bad = {
        "hang -": "not decoded within 1 s",
        "sleep 100": "not decoded within 1 s",
        "kill SIGSEGV": "crashed the decoder (SIGSEGV)",
        "kill SIGKILL": "crashed the decoder (SIGKILL)",
        "exit 3": "crashed the decoder (exit code 3)",
        "media-error two\nlines": "two lines",
        "bug " + "x" * 1000: "LookupError: " + "x" * 284 + "...",
    }
    answers = decode(write(folder, [*bad, *["vector 5"] * 10]), timeout_seconds=1)
    failures = [Failure(reason, lasting=True) for reason in bad.values()]
    assert answers == dict(enumerate([*failures, *[5.0] * 10]))


def test_failures_that_another_try_may_mend_do_not_last(folder: Path) -> None:
    answers = decode(write(folder, ["machine Too many open files", "lambda -"]))
    assert answers[0] == Failure("OSError: Too many open files", lasting=False)
    assert "pickle" in answers[1].reason


def test_an_item_whose_worker_was_killed_from_outside_is_tried_again(folder: Path) -> None:
    contents = write(folder, [f"kill-once {folder / 'marker'}", "vector 2"])
    assert decode(contents, num_workers=1) == {0: 1.0, 1: 2.0}


def test_random_kills_of_workers_cost_no_item(folder: Path) -> None:
    contents = write(folder, [f"vector {number}" for number in range(300)])
    random = np.random.default_rng(0)
    num_kills, answers, before = 0, {}, children()
    with DecodingPool(ScriptedExtractor(), num_workers=2, timeout_seconds=30) as pool:
        for number, answer in pool.load(contents):
            answers[number] = answer
            if number % 60 == 0:
                os.kill(int(random.choice(sorted(children() - before))), signal.SIGKILL)
                num_kills += 1
    assert num_kills == 5
    assert answers == {number: float(number) for number in range(300)}


def test_kills_of_starting_workers_do_not_stop_the_one_that_works(folder: Path) -> None:
    contents = write(folder, ["process -"] * 300)
    before, at_work, killed = children(), set[int](), set[int]()
    with DecodingPool(ScriptedExtractor(), num_workers=2, timeout_seconds=30) as pool:
        for _, process in pool.load(contents):
            at_work = at_work or {int(process)}
            for starting in children() - before - at_work:
                os.kill(starting, signal.SIGKILL)
                killed.add(starting)
            time.sleep(0.005)
    assert len(killed) > 10


def test_the_time_limit_holds_for_each_item_alone(folder: Path) -> None:
    contents = write(folder, ["sleep 0.4"] * 5)
    assert decode(contents, num_workers=1, timeout_seconds=1) == dict.fromkeys(range(5), 0.4)


def test_waiting_for_a_slow_reader_is_not_timed(folder: Path) -> None:
    contents = write(folder, ["array 3000000"] * 3)
    with DecodingPool(ScriptedExtractor(), num_workers=1, timeout_seconds=0.5) as pool:
        for _, answer in pool.load(contents):
            time.sleep(0.6)
            assert isinstance(answer, np.ndarray)


def test_memory_stays_flat_with_a_slow_reader(folder: Path) -> None:
    """Contents are taken only as workers have room for them."""
    contents = write(folder, ["vector 1"] * 50)
    taken = []
    with DecodingPool(ScriptedExtractor(), num_workers=2, timeout_seconds=30) as pool:
        for num_read, _ in enumerate(pool.load(taken.append(c) or c for c in contents)):
            assert len(taken) <= num_read + 1 + 2 * 2 + 1


def test_workers_work_at_the_same_time(folder: Path) -> None:
    contents = write(folder, ["sleep 1.0"] * 3)
    with DecodingPool(ScriptedExtractor(), num_workers=3, timeout_seconds=30) as pool:
        list(pool.load(contents[:3]))  # all have started
        start = time.perf_counter()
        list(pool.load(contents[:3]))
        assert time.perf_counter() - start < 2.5


def test_workers_write_nothing_to_standard_output(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    decode(write(folder, ["print noise", "kill SIGSEGV"]))
    assert capfd.readouterr() == ("", "")


def test_an_extractor_that_cannot_arrive_is_an_error_with_its_traceback(folder: Path) -> None:
    with (
        DecodingPool(UnloadableExtractor(), 2, 30) as pool,
        pytest.raises(WorkerStartError, match="libmissing"),
    ):
        list(pool.load(write(folder, ["vector 1"] * 5)))


def test_workers_that_all_die_while_starting_are_an_error(folder: Path) -> None:
    with (
        DecodingPool(DyingExtractor(), 2, 30) as pool,
        pytest.raises(WorkerStartError, match="SIGSEGV"),
    ):
        list(pool.load(write(folder, ["vector 1"] * 5)))


def test_an_error_of_the_caller_ends_all_workers(folder: Path) -> None:
    contents = write(folder, ["vector 1", "hang -", "hang -", "hang -"])

    def use() -> None:
        with DecodingPool(ScriptedExtractor(), num_workers=3, timeout_seconds=30) as pool:
            for _ in pool.load(contents):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()


PARENT = """
import sys
from pathlib import Path
from extractors.engine.decoding import DecodingPool
from scripted_extractor import ScriptedExtractor

with DecodingPool(ScriptedExtractor(), num_workers=2, timeout_seconds=6) as pool:
    for answer in pool.load(enumerate(map(Path, sys.argv[1:]))):
        print(answer, flush=True)
"""


def test_workers_end_when_their_parent_is_killed_even_in_a_hanging_decoder(folder: Path) -> None:
    paths = [str(path) for _, path in write(folder, ["vector 1", "hang -", "hang -"])]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *paths],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    family = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    assert len(family) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(is_running(int(child)) for child in family):
        assert time.monotonic() < deadline, "a worker has outlived its parent"
        time.sleep(0.05)


def test_what_makes_every_item_fail_is_held_against_none(folder: Path) -> None:
    contents = write(folder, ["setup no vocabulary", "vector 1"])
    assert decode(contents) == {0: Failure("no vocabulary", lasting=False), 1: 1.0}
    with pytest.raises(MocmeError, match="no vocabulary"):
        list(InlineDecoder(ScriptedExtractor()).load(iter(contents)))


def is_running(process_id: int) -> bool:
    """Whether a process exists and is no zombie that nobody has reaped yet."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
