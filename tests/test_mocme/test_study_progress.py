"""The time that a study has left, from the runs that are done; a clock of the test's own."""

from io import StringIO

import pytest
from rich.console import Console

from mocme.cli import study_bar
from mocme.study_progress import StudyProgress, in_words


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run(progress: StudyProgress, clock: Clock, kind: str, seconds: float) -> None:
    number = progress.begin(kind)
    clock.now += seconds
    assert progress.end(number) == seconds


def test_nothing_is_estimated_before_a_run_is_done(clock: Clock) -> None:
    progress = StudyProgress(1, clock)
    progress.expect(["a", "b"])
    assert progress.seconds_left() is None
    assert progress.describe() == "0 of 2 done, 0 s so far"


def test_what_is_left_takes_what_was_done_took(clock: Clock) -> None:
    progress = StudyProgress(1, clock)
    progress.expect("abab")
    run(progress, clock, "a", 60)
    assert progress.seconds_left() == 180
    run(progress, clock, "b", 600)
    assert progress.seconds_left() == 660, "each variant as long as it took itself"
    assert progress.describe() == "2 of 4 done, 11 min so far, about 11 min left"


def test_several_at_once_share_what_is_left(clock: Clock) -> None:
    progress = StudyProgress(2, clock)
    progress.expect("aaaaa")
    run(progress, clock, "a", 10)
    assert progress.seconds_left() == 20
    first, second = progress.begin("a"), progress.begin("a")
    clock.now += 5
    assert progress.seconds_left() == 15
    clock.now += 50
    assert progress.seconds_left() == 10, "a run that takes longer is not less than done"
    progress.end(first)
    progress.end(second)
    assert progress.num_done == 3


def test_the_last_run_is_not_shared_out(clock: Clock) -> None:
    progress = StudyProgress(8, clock)
    progress.expect("aa")
    run(progress, clock, "a", 100)
    progress.begin("a")
    assert progress.seconds_left() == 100


def test_runs_of_earlier_calls_count_and_take_no_time(clock: Clock) -> None:
    progress = StudyProgress(1, clock)
    progress.expect("abc")
    progress.found("a", 30)
    progress.found("b")
    assert (progress.num_done, progress.total) == (2, 3)
    assert progress.seconds_left() == 30


def test_a_study_that_is_done_has_nothing_left(clock: Clock) -> None:
    progress = StudyProgress(1, clock)
    progress.expect("a")
    run(progress, clock, "a", 3)
    assert progress.describe() == "1 of 1 done, 3 s so far, about 0 s left"


def test_a_run_that_is_dropped_is_still_expected(clock: Clock) -> None:
    progress = StudyProgress(1, clock)
    progress.expect("aa")
    progress.drop(progress.begin("a"))
    assert (progress.num_done, progress.total) == (0, 2)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    monkeypatch.setattr(study_bar, "STDERR", console)
    progress = StudyProgress(1, clock)
    with study_bar.showing(progress) as tell:
        progress.expect("ab")
        run(progress, clock, "a", 30)
        tell("a is done")
    assert "1 of 2 done, 30 s so far, about 30 s left" in shown.getvalue()


def test_in_a_log_there_are_lines(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    progress = StudyProgress(1, clock)
    progress.expect("ab")
    with study_bar.showing(progress) as tell:
        run(progress, clock, "a", 30)
        tell("[red]a[/red] is done")
    assert capsys.readouterr().err == (
        "[red]a[/red] is done; 1 of 2 done, 30 s so far, about 30 s left\n"
    )
