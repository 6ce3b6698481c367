"""A batch of 1-vs-all training, prepared on the CPU: what it holds; a step waits for nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted_graph import World, planted_world
from small_training import model_config, train_config
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from model.inputs import KnownTails
from model.negatives.all_entities import AllEntities
from model.training import trainer
from model.training.train import train

CPU = torch.device("cpu")
NUM_RELATIONS = 4
WAITING = {
    "_local_scalar_dense",
    "_unique2",
    "equal",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
}
"""Operations whose result's size, or a number of the CPU, only the data on a GPU tells."""


@pytest.fixture
def triples() -> Tensor:
    drawn = np.random.default_rng(0).integers([6, NUM_RELATIONS, 12], size=(90, 3))
    drawn = np.unique(drawn, axis=0)
    return torch.from_numpy(drawn)  # answers to one question side by side


class TestAllEntities:
    @pytest.mark.parametrize(("start", "stop"), [(0, 24), (0, 1), (5, 9), (23, 24)])
    def test_a_chunk_is_what_is_known_of_its_questions(
        self, triples: Tensor, start: int, stop: int
    ) -> None:
        asked = triples[::2]
        found = AllEntities.of(asked, KnownTails(triples.numpy(), NUM_RELATIONS, CPU), CPU)
        stop = min(stop, len(found.questions))
        start = min(start, stop - 1)
        chunk = [tuple(question) for question in found.questions[start:stop].tolist()]
        answers, known = found.of_chunk(slice(start, stop))
        for pairs, among in ((answers, asked), (known, triples)):
            told = [(*chunk[row], tail) for row, tail in pairs.T.tolist()]
            expected = [tuple(it) for it in among.tolist() if tuple(it[:2]) in chunk]
            assert sorted(told) == sorted(expected)
            assert told

    def test_every_question_once(self, triples: Tensor) -> None:
        found = AllEntities.of(triples, KnownTails(triples.numpy(), NUM_RELATIONS, CPU), CPU)
        assert found.questions.tolist() == triples[:, :2].unique(dim=0).tolist()
        assert found.first_answer[-1] == len(triples)
        assert found.first_known[-1] == len(triples)


class Watch(TorchDispatchMode):
    """Notes the operations for which a step on a GPU would wait.

    A seed may be read: chance without a device is drawn on the CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self._seeds: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        by_mask = name.startswith(("index", "_index_put")) and any(
            isinstance(index, Tensor) and index.dtype == torch.bool
            for index in (args[1] if isinstance(args[1], (list, tuple)) else ())
        )
        waits = by_mask or (name in WAITING and "output_size" not in (kwargs or {}))
        if waits and not any(args[0].data_ptr() == seed.data_ptr() for seed in self._seeds):
            self.seen.add(name)
        found = func(*args, **(kwargs or {}))
        if name == "randint":
            self._seeds.append(found)
        return found


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Watch what computes on the device: the encoding, each block's loss, and the way back."""
    watch = Watch()

    def watching(function: Any) -> Any:
        def spied(*args: Any, **kwargs: Any) -> Any:
            with watch:
                return function(*args, **kwargs)

        return spied

    with monkeypatch.context() as patched:
        for owner, name in (
            (trainer.BatchLoss, "mean"),
            (trainer.Trainer, "_audible"),
            (trainer.MoCME, "forward"),
            (torch.Tensor, "backward"),
        ):
            patched.setattr(owner, name, watching(getattr(owner, name)))
        patched.setattr(trainer.Trainer, "_is_evaluated", lambda self, epoch: False)
        patched.setattr(trainer.Trainer, "_finish", lambda self, progress: None)
        yield watch.seen


@pytest.fixture(scope="module")
def world() -> World:
    return planted_world()


class TestNothingIsWaitedFor:
    @pytest.mark.parametrize(
        ("model", "negatives"),
        [
            ({"alone": True, "context": True}, {}),
            ({"fusion": "sum", "context": True}, {"known_weight": 0.0}),
            ({"scorer": "rotate"}, {"weighting": "none"}),
            ({"context": True}, {"mode": "sampled", "num": 8}),
        ],
        ids=["all", "others left out", "distances", "sampled"],
    )
    def test_in_a_step(
        self,
        world: World,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        model: dict[str, Any],
        negatives: dict[str, Any],
    ) -> None:
        config = train_config(epochs=2, negatives=negatives)
        with watched(monkeypatch) as seen:
            train(world.graph, world.tables(), model_config(**model), config, tmp_path / "run")
        assert seen == set()

    def test_a_lookup_would_be_seen(self, triples: Tensor) -> None:
        known = KnownTails(triples.numpy(), NUM_RELATIONS, CPU)
        with Watch() as watch:
            known.lookup(triples[:, 0], triples[:, 1])
            triples[triples[:, 0] > 1].sum().item()
        assert watch.seen == {"repeat_interleave", "index", "_local_scalar_dense"}
