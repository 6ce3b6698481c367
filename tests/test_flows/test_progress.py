"""What a long stage says of itself while it is at work."""

from logging import Logger, getLogger

import pytest

from flows.server import progress
from flows.server.artifacts import PublishedProgress
from flows.server.progress import StageProgress
from model.runs.epoch_report import EpochReport


def test_no_score_is_told_before_one_was_measured(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger: Logger = getLogger("stage")
    monkeypatch.setattr(progress, "get_run_logger", lambda: logger)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(PublishedProgress, "tell", lambda *told: None)
    caplog.set_level("INFO", "stage")
    show = StageProgress().of_epochs()
    for epoch, mrr, best in ((1, None, None), (2, 0.5, 0.5), (3, None, 0.5), (4, 0.25, 0.5)):
        show(EpochReport(epoch, 4, 1.0, mrr, best, seconds=2.0))
    assert caplog.messages == [
        "train: 1 of 4, loss 1.0000, 6 s left",
        "train: 2 of 4, loss 1.0000, best valid MRR 0.5000, 4 s left",
        "train: 3 of 4, loss 1.0000, best valid MRR 0.5000, 2 s left",
        "train: 4 of 4, loss 1.0000, best valid MRR 0.5000, 0 s left",
    ]
