"""The log of a training: metrics.jsonl and, with the same numbers, TensorBoard.

Shapes: E entities, M modalities.
"""

import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from torch import Tensor

from model.config import CONTENT
from model.encoder.content import ContentEncoder
from model.mocme import MoCME
from model.runs.epoch_report import EpochReport
from model.runs.run_files import event_files
from model.runs.run_folder import RunFolder
from model.scoring.blocks import BlockScoring
from model.training.event_file import EventFile
from storage.errors import MocmeError
from storage.files.owned import delete_own_files, own_folder

_logger = logging.getLogger(__name__)

Numbers = dict[str, float | None]
"""What is logged of an epoch, by name; None: not measured."""

_NOT_DRAWN = {"epoch", "num_epochs"}


class TrainingLog:
    """Writes epochs down as they end.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._writer: EventFile | None = None
        self._is_drawn = True

    def write(self, report: EpochReport, numbers: Mapping[str, float | None]) -> None:
        """Log an epoch; what was logged of it and of later ones before a stop is replaced.

        Args:
            report: The epoch.
            numbers: What else to log of it.
        """
        self._folder.log_epoch(report, numbers)
        if not self._is_drawn:
            return
        try:
            self._write_events()
        except (OSError, MocmeError) as error:
            _logger.warning("%s: %s; training goes on without", self._folder.tensorboard, error)
            self._is_drawn = False

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            with suppress(OSError):  # what was left unwritten is in metrics.jsonl
                self._writer.close()

    def _write_events(self) -> None:
        """Write the newest epoch for TensorBoard; after a start, all of them."""
        epochs = self._folder.read_log()
        if self._writer is None:
            self._writer = self._open()
        else:
            epochs = epochs[-1:]
        for epoch in epochs:
            names = [it for it in epoch if it not in _NOT_DRAWN and epoch[it] is not None]
            self._writer.add(epoch["epoch"], {name: epoch[name] for name in names})

    def _open(self) -> EventFile:
        """Open TensorBoard's log, emptied: every start writes all epochs anew, to one file.

        So it never holds more or less than metrics.jsonl, wherever an earlier start was killed.
        """
        folder = own_folder(self._folder.tensorboard)
        delete_own_files(self._folder.root, event_files(self._folder.root))
        return EventFile(folder)


def fusion_of(model: MoCME, shares: Tensor) -> Numbers:
    """Describe the fused content: what was measured of each modality, and how much it says.

    Args:
        model: The model.
        shares: Every modality's share in the entities' content. Shape: (E, M).

    Returns:
        By `<what>/<modality>`: `share`, the mean over the entities that have content; where fusion
        depends on measurements, for all but the neighbours, `strength`, that in an entity that has
        every modality, `relevance` in nats, and `information`, the mean shared with the others in
        nats per dimension. Nothing if there is no fused content.
    """
    if not model.modalities:
        return {}
    strengths = cast(ContentEncoder, model.contents[CONTENT]).strengths
    has_content = (shares.detach().sum(1) > 0).sum().clamp_min(1)
    measured = {"share": shares.detach().sum(0) / has_content}
    if strengths.are_weighed:
        information = strengths.inter_information
        others = max(1, len(information) - 1)
        measured["strength"] = strengths.of_patterns[-1]
        measured["relevance"] = strengths.inter_relevance
        measured["information"] = (information.sum(1) - information.diagonal()) / others
    return {
        f"{what}/{modality}": None if math.isnan(value) else value
        for what, row in ((what, values.tolist()) for what, values in measured.items())
        for modality, value in zip(model.modalities, row, strict=False)
    }


def block_weights_of(scoring: BlockScoring) -> Numbers:
    """Return every block's mean weight over the relations, by `block_weight/<block>`."""
    means = scoring.block_weights.mean(0).tolist()
    names = [f"block_weight/{block.name}" for block in scoring.blocks]
    return dict(zip(names, means, strict=True))
