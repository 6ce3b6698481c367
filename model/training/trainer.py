"""One training: its epochs, what it keeps of them, and the scoring that it ends with.

Every random choice of an epoch follows from (seed, epoch), so a run that was killed and resumed
at its last finished epoch ends as it would have ended without the stop, on the same device.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from model.config import RELEVANCE_AWARE, ModelConfig, TrainConfig
from model.device import choose_dtype, sent_to
from model.encoded_block import EncodedBlock
from model.evaluation.ranking import known_answers, rank
from model.inputs import KnownTails, modality_rows, with_inverses
from model.mocme import MoCME
from model.negatives.all_entities import AllEntities
from model.negatives.batch_loss import BatchLoss
from model.negatives.egns_log import EgnsLog
from model.probability.held_out import calibrate, carried_over
from model.rules.rule_block import RuleBlock
from model.runs.epoch_report import EpochReport
from model.runs.run_folder import RunFolder
from model.runs.selection import SelectionResult
from model.scoring.block import Block
from model.scoring.block_weights import fit_block_weights
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import Calibration
from model.training.checkpoint import (
    check_weights,
    load_checkpoint,
    load_weights,
    read_progress,
    save_checkpoint,
    save_weights,
)
from model.training.distributed import Processes
from model.training.held_back import HeldBack
from model.training.log import Numbers, TrainingLog, block_weights_of, fusion_of
from model.training.optimizer import build_optimizer
from model.training.progress import Progress
from model.training.questions import Questions
from storage.datasets.graph import Graph, Triples
from storage.errors import MocmeError
from storage.features.table import FeatureTable
from storage.files.file_errors import DamagedFileError

_logger = logging.getLogger(__name__)


class Trainer:
    """One training.

    The arguments are those of `train`, the processes that share the work, and what was selected by
    a first training.
    """

    def __init__(
        self,
        graph: Graph,
        tables: Mapping[str, FeatureTable],
        model: ModelConfig,
        config: TrainConfig,
        folder: RunFolder,
        processes: Processes,
        selected: SelectionResult | None = None,
    ) -> None:
        if len(graph.train) == 0:
            raise MocmeError("found no training triples; allowed: at least one")
        self.graph, self.config, self.folder = graph, config, folder
        self.processes, self.selected = processes, selected
        self.num_epochs = config.epochs if selected is None else selected.epochs
        self.complementarity = model.complementarity
        self.device = processes.device
        torch.manual_seed(config.seed)
        self.dtype = choose_dtype(config.dtype, self.device)
        rows = modality_rows(tables, graph, self.device, model.attend, self.dtype)
        seen = torch.from_numpy(graph.seen_in_training)
        mocme = MoCME(rows, seen, graph.num_relations, model, config.inverse_relations)
        self.model = mocme.to(self.device)
        self.optimizer = build_optimizer(self.model, config)
        self.questions = Questions(
            np.unique(graph.train, axis=0), graph.num_entities, graph.num_relations, config
        )
        self.edges = self.questions.triples.to(self.device)
        self.neighbourhood = self.model.neighbourhood(self.edges)
        cpu = torch.device("cpu")  # which prepares what a step asks
        both_ways = self.questions.triples.numpy()
        self.known_on_cpu = KnownTails(both_ways, 2 * graph.num_relations, cpu)
        self.all_known_on_cpu = known_answers(graph, cpu)
        self.known = self.known_on_cpu.to(self.device)
        self.all_known = self.all_known_on_cpu.to(self.device)
        self.loss = BatchLoss(self.model, self.known, config, self.dtype)
        needs_held_back = model.fusion in RELEVANCE_AWARE and self.model.weighs
        share = config.held_back if needs_held_back else 0.0
        self.held_back = HeldBack(self.edges, share, config.held_back_epochs, config.seed)
        self.rule_length = model.rule_length if model.structure else 0

    def run(self, on_epoch: Callable[[EpochReport], None]) -> None:
        """Train to the end, then export the best weights' embeddings."""
        progress = self._resume()
        self.processes.wait()  # until all have read what the first may delete soon
        with closing(TrainingLog(self.folder)) as log:
            while self._goes_on(progress):
                progress = self._epoch(progress, log, on_epoch)
        if self.processes.is_first:
            self._finish(progress)
        self.processes.wait()  # so that the run is whole, whichever process goes on

    def _resume(self) -> Progress:
        """Restore what the last epoch before a stop has left; if that is damaged, begin again.

        Raises:
            MocmeError: If it is another model's, or cannot be read.
        """
        checkpoint, weights = self.folder.checkpoint, self.folder.weights
        try:
            if not checkpoint.exists():
                return Progress()
            if weights.exists():
                check_weights(weights)
            if read_progress(checkpoint)["best_epoch"] and not weights.exists():
                raise DamagedFileError(f"{self.folder.root}: found no {weights.name}")
            return Progress(**load_checkpoint(checkpoint, self.model, self.optimizer))
        except DamagedFileError as error:
            _logger.warning("%s; training begins again", error)
            return Progress()

    def _finish(self, progress: Progress) -> None:
        load_weights(self.folder.weights, self.model)
        self._calibrated(self._scoring()).save(self.folder.scoring)
        self.folder.finish(
            {
                "best_epoch": progress.best_epoch,
                "best_valid_mrr": progress.best_mrr,
                "dtype": str(self.dtype).removeprefix("torch."),
            }
        )

    def _goes_on(self, progress: Progress) -> bool:
        is_patient = progress.bad_evaluations < self.config.patience
        return is_patient and progress.epoch < self.num_epochs

    def _epoch(
        self, progress: Progress, log: TrainingLog, on_epoch: Callable[[EpochReport], None]
    ) -> Progress:
        started = time.perf_counter()
        progress = progress.next_epoch()
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + progress.epoch)
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        self._update_fusion(progress.epoch)
        self.model.train()
        loss, numbers = self._train_steps(generator, self.held_back.during(progress.epoch))
        mrr = None
        if self._is_evaluated(progress.epoch):
            mrr = self.processes.from_first(partial(self._evaluate, numbers))
            progress = progress.evaluated(mrr)
        elif self.selected is not None and progress.epoch == self.num_epochs:
            progress = progress.evaluated(self.selected.valid_mrr)
        seconds = time.perf_counter() - started
        if self.processes.is_first:
            if progress.best_epoch == progress.epoch:
                save_weights(self.folder.weights, self.model)
            best = progress.best_mrr if self.selected is None else self.selected.valid_mrr
            report = EpochReport(progress.epoch, self.num_epochs, loss, mrr, best, seconds)
            log.write(report, numbers)
            save_checkpoint(self.folder.checkpoint, self.model, self.optimizer, vars(progress))
            on_epoch(report)
        return progress

    def _is_evaluated(self, epoch: int) -> bool:
        is_due = epoch % self.config.eval_every == 0 or epoch == self.num_epochs
        return is_due and self.selected is None

    def _evaluate(self, numbers: Numbers) -> float:
        """Return the MRR on valid, and add to what is logged of the epoch."""
        scoring = self._scoring(only_ranks=True)
        numbers |= block_weights_of(scoring)
        return rank(scoring, self.graph.valid, self.all_known).metrics()["mrr"]

    def _update_fusion(self, epoch: int) -> None:
        """Measure anew what fusion depends on; if that takes training, at every evaluation only."""
        costs_little = self.complementarity == "gaussian"
        is_due = epoch % self.config.eval_every == 1 % self.config.eval_every
        if not self.model.weighs or not (costs_little or is_due):
            return
        self.model.eval()
        untrained = self.held_back.during(epoch - 1)
        sample = self.held_back.sample(epoch - 1, self.known, self.graph.num_entities)
        self.model.update_fusion(self.neighbourhood, self._audible(untrained), sample)
        self.processes.share_buffers(self.model)

    def _audible(self, *hidden: Tensor) -> Tensor:
        """Which edges may carry a message: all but those of some triples, both ways. (N,)."""
        audible = torch.ones(len(self.edges), dtype=torch.bool, device=self.device)
        for triples in hidden:
            audible[triples] = audible[triples + len(self.edges) // 2] = False
        return audible

    def _train_steps(self, generator: torch.Generator, held_back: Tensor) -> tuple[float, Numbers]:
        """Run one epoch; return the mean loss per question, and what to log of it."""
        total = torch.zeros((), device=self.device)
        num_questions = 0
        batches = list(self.questions.batches(held_back, generator))
        log = self._egns_log(len(batches))
        for step, (batch, asked) in enumerate(batches):
            audible = self._audible(sent_to(self.device, batch), held_back)
            blocks, shares = self.model(self.neighbourhood, audible)
            drawn = self.questions.negatives(len(asked), len(blocks), generator)
            log.observe(step, blocks[0], asked, drawn[0] if drawn else None)
            loss = self._loss(blocks, asked, drawn)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.processes.add_gradients(self.model.parameters())
            self.optimizer.step()
            total += loss.detach() * len(asked)
            num_questions += len(asked)
        mean = float(self.processes.sum(total) / num_questions)
        if not np.isfinite(mean):
            raise FloatingPointError(
                f"the loss is {mean}; allowed: a finite number; lower train.learning_rate "
                f"(now {self.config.learning_rate})"
            )
        return mean, {**log.read(), **fusion_of(self.model, shares)}

    def _loss(
        self, blocks: Sequence[EncodedBlock], asked: Tensor, drawn: Sequence[Tensor]
    ) -> Tensor:
        """Return this process's share of a batch's mean loss, summed over the blocks.

        Args:
            blocks: Where all are asked.
            asked: The batch's questions, on the CPU. Shape: (B, 3).
            drawn: Their negatives in each block, on the CPU; empty where all entities are. (B, N).
        """
        part, share = self.processes.part(asked)
        questions = sent_to(self.device, asked[part])
        negatives: Iterable[Tensor | AllEntities]
        if self.config.negatives.mode == "all":
            everyone = AllEntities.of(asked[part], self.known_on_cpu, self.device)
            negatives = repeat(everyone, len(blocks))
        else:
            negatives = (sent_to(self.device, them[part]) for them in drawn)
        losses = [
            self.loss.mean(block, questions, them)
            for block, them in zip(blocks, negatives, strict=True)
        ]
        return torch.stack(losses).sum() * share

    def _egns_log(self, num_steps: int) -> EgnsLog:
        config = self.config.negatives.egns
        known, answers = self.known_on_cpu, self.all_known_on_cpu
        return EgnsLog(known, answers, config, num_steps, self.device)

    def _scoring(self, *, only_ranks: bool = False) -> BlockScoring:
        """The model as it ranks: all edges audible, block weights chosen before or fitted on valid.

        If it only ranks, a single block weighs 1: it ranks alike by any weight.
        """
        self.model.eval()
        with torch.no_grad():
            encoded = self.model(self.neighbourhood, self._audible())[0]
        blocks: list[Block] = [*encoded, self._rules] if self.rule_length else [*encoded]
        if self.selected is not None:
            weights = self.selected.block_weights.to(self.device)
        elif len(blocks) == 1 and only_ranks:
            weights = torch.ones(blocks[0].num_relations, 1, device=self.device)
        else:
            weights = self._block_weights(blocks, self.graph.valid)
        return BlockScoring(
            blocks, weights, Calibration.none(self.graph.num_relations, self.device)
        )

    def _block_weights(self, blocks: Sequence[Block], triples: Triples) -> Tensor:
        """Fit the weights of blocks on some triples of valid. Shape: (R, num_blocks)."""
        questions = torch.from_numpy(with_inverses(triples, self.graph.num_relations))
        return fit_block_weights(blocks, questions.to(self.device), self.all_known)

    @cached_property
    def _rules(self) -> RuleBlock:
        return RuleBlock.mined(self.graph, self.rule_length, self.device)

    def _calibrated(self, scoring: BlockScoring) -> BlockScoring:
        """Let probabilities be those of valid, or as the training before this one has chosen."""

        def refitted(valid: Triples) -> BlockScoring:
            return replace(scoring, block_weights=self._block_weights(scoring.blocks, valid))

        if self.selected is None:
            return replace(scoring, calibration=calibrate(self.graph, scoring, refitted))
        carried = carried_over(self.graph, self.selected.calibration)
        return replace(scoring, calibration=carried)
