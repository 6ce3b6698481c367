"""What a long stage says of itself while it is at work."""

from logging import Logger, getLogger

import pytest

from flows.server import progress
from flows.server.artifacts import PublishedProgress
from flows.server.progress import StageProgress
from model.runs.epoch_report import EpochReport


@pytest.fixture
def log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    """The log, in which every epoch is told."""
    logger: Logger = getLogger("stage")
    monkeypatch.setattr(progress, "get_run_logger", lambda: logger)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(PublishedProgress, "tell", lambda *told: None)
    caplog.set_level("INFO", "stage")
    return caplog


def test_no_score_is_told_before_one_was_measured(log: pytest.LogCaptureFixture) -> None:
    show = StageProgress().of_epochs()
    for epoch, mrr, best in ((1, None, None), (2, 0.5, 0.5), (3, None, 0.5), (4, 0.25, 0.5)):
        show(EpochReport(epoch, 4, 1.0, mrr, best, seconds=2.0))
    assert log.messages == [
        "train: 1 of 4, loss 1.0000, 6 s left",
        "train: 2 of 4, loss 1.0000, best valid MRR 0.5000, 4 s left",
        "train: 3 of 4, loss 1.0000, best valid MRR 0.5000, 2 s left",
        "train: 4 of 4, loss 1.0000, best valid MRR 0.5000, 0 s left",
    ]


def test_the_time_left_counts_the_trainings_that_follow(log: pytest.LogCaptureFixture) -> None:
    """The first stops after two of its three epochs, and so the second takes two."""
    show = StageProgress().of_epochs()
    for epoch, num_epochs, num_after in ((1, 3, 3), (2, 3, 3), (1, 2, 0), (2, 2, 0)):
        show(EpochReport(epoch, num_epochs, 1.0, None, None, 2.0, num_after))
    assert log.messages == [
        "train: 1 of 6, loss 1.0000, 10 s left",
        "train: 2 of 6, loss 1.0000, 8 s left",
        "train: 3 of 4, loss 1.0000, 2 s left",
        "train: 4 of 4, loss 1.0000, 0 s left",
    ]
