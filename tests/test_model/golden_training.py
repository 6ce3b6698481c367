"""Small trainings that cover the options of a model, and what is measured of them.

    python tests/test_model/golden_training.py

writes `golden/training.json` anew, from the code as it is (0.4 s a case). Do that only for a change
that is meant to change the numbers of a training, and say in the commit which numbers and why.

Every case trains for two epochs of three steps through `Trainer.run`. Only configs, a graph and
feature tables go in. The mean loss of each epoch, and the gradients that the optimiser finds at
each step, come out. The second epoch is there because relevance is measured for the first time
between the two (fusion `cmkf`).

Random numbers, in the order in which they are drawn. A change to this order changes the numbers:

1. Weights: none of the model's own. They are drawn here, by `_draw_weights`, from one generator a
   parameter, which is seeded by the parameter's name. So the order of construction does not
   matter, and what starts as zero in the model (gates, for example) has a gradient at once. A
   parameter that is renamed needs its old name as seed to keep its numbers.
2. Triples held back (relevance-aware fusions): a permutation from a generator of its own, seeded by
   `train.seed`. Candidates of the held-back queries likewise, once an epoch.
3. The epoch's own generator on the CPU, seeded by `train.seed` and the epoch:
   a. one integer, which seeds torch's global generator,
   b. the order of queries: in mode `all` one permutation of all edges, then one of all turns
      (`EpochOrder`); in mode `sampled` one permutation of all triples,
   c. in mode `sampled`: one uniform number a triple for its side, batch by batch, for all batches
      of the epoch before the first step,
   d. in mode `sampled`, in each step: for every block in turn, (batch, num) negatives.
4. torch's global generator, in each step (the cases with `dropout`):
   a. one integer for the step, which seeds it again before every content block by the block's
      name and before every further ensemble member by its number. Members repeat all of this,
   b. in a content block, for every modality in turn: 64-bit integers, each of which serves four
      numbers, for the features that are masked, laid out as (experts, rows, feature width). Rows
      are the modality's items in ascending order of their entities (one row an entity where items
      are averaged), all of them, whatever the step's queries are,
   c. (all entities, own modalities) uniform numbers for the modalities that are masked. They are
      drawn at rate 0, too,
   d. with neighbours: as in b, laid out as (experts, all entities, width), then (all entities, 2)
      uniform numbers for the neighbours that are masked.
   Nothing of b and of the first part of d is drawn where `model.feature_dropout` is 0. The blocks
   `structure` and `context` draw nothing.

Estimators of complementarity other than `gaussian` are in no case. They train networks for hundreds
of steps, which turns a difference in rounding into one of a thousandth.

The cases with `no-dropout` draw all but 4b, and what 4c and 4d draw has no effect there. So they
hold whichever rows a step encodes, if 2 and 3 are kept.
"""

import itertools
import json
import random
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import torch
from planted_graph import World, feature_table, planted_world
from torch import Tensor, nn

from model.config import FusionName, ModelConfig, ScorerName, TrainConfig
from model.runs.epoch_report import EpochReport
from model.runs.run_folder import RunFolder
from model.training.distributed import Processes
from model.training.trainer import Trainer
from storage.features.table import FeatureTable

GOLDEN_FILE = Path(__file__).with_name("golden") / "training.json"
NUM_EPOCHS = 2
STEPS_OF_AN_EPOCH = 3

WEIGHTINGS: dict[str, dict[str, Any]] = {
    "none": {"weighting": "none"},
    "self_adversarial": {"weighting": "self_adversarial"},
    "egns": {"weighting": "egns", "egns": {"temperature": 0.3}},
}
MODES: dict[str, dict[str, Any]] = {
    f"{name}-{weighting}": {**mode, **settings}
    for name, mode in {
        "all": {"mode": "all"},
        "uniform": {"mode": "sampled", "sampler": "uniform", "num": 16},
        "bernoulli": {"mode": "sampled", "sampler": "bernoulli", "num": 16},
    }.items()
    for weighting, settings in WEIGHTINGS.items()
}
"""Settings of `train.negatives`, by name."""
MODES["all-egns"]["egns"] = {"temperature": 0.3, "ambiguous_weight": 1.01, "hard_weight": 1.005}
"""Two million scores are compared with a category's end. Rounding moves one of them across in about
every fifth case. With these weights that changes no gradient by more than the test's tolerance."""

OPTIONS: dict[str, tuple[Any, ...]] = {
    "model.num_experts": (1, 2, 3),
    "model.ensemble_size": (1, 2),
    "model.structure": (True, False),
    "model.joint": (False, True),
    "model.alone": (True, False),
    "model.context": (True, False),
    "model.neighbours": (True, False),
    "model.attend": ((), ("image",)),
    "model.fallback_rows": (False, True),
    "model.modality_dropout": (0.0, 0.3),
    "model.neighbour_dropout": (0.3, 0.0),
    "train.inverse_relations": (True, False),
    "train.answers_at_once": (8, 1),
    "train.optimizer": ("adagrad", "adam"),
    "train.n3_weight": (0.05, 0.0),
    "train.held_back": (0.1, 0.0),
    "train.negatives.known_weight": (1.0, 0.4, 0.0),
    "tables": (("image", "text", "sound"), ("image", "text"), ("image",)),
}
"""Options whose values are spread over the cases, such that every two values meet in some case."""

NO_DROPOUT = {"feature_dropout": 0.0, "modality_dropout": 0.0, "neighbour_dropout": 0.0}


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        name: Fusion, scorer, mode of negatives, and whether there is dropout.
        options: The drawn value of each of `OPTIONS`.
        tables: Names of the modalities that it has.
        model: Its `model` section.
        train: Its `train` section.
    """

    name: str
    options: Mapping[str, Any]
    tables: tuple[str, ...]
    model: ModelConfig
    train: TrainConfig


def cases() -> dict[str, Case]:
    """Return all cases by name.

    Every two of a scorer, a fusion and a mode meet in some case with dropout. A third of the pairs
    of a fusion and a mode have a case without it, too.
    """
    fusions, scorers = get_args(FusionName), get_args(ScorerName)
    found = []
    for (row, fusion), (column, mode) in itertools.product(enumerate(fusions), enumerate(MODES)):
        scorer = scorers[(row + column) % len(scorers)]
        found.append(_case(fusion, scorer, mode, {}))
        if (row + column) % 3 == 0:
            found.append(_case(fusion, scorer, mode, NO_DROPOUT))
    return {case.name: case for case in found}


def _case(fusion: str, scorer: str, mode: str, changes: Mapping[str, Any]) -> Case:
    """Return a case, whose options follow from its fusion, scorer and mode."""
    draws = random.Random(f"{fusion} {scorer} {mode}")  # noqa: S311
    options = {name: values[int(draws.random() * len(values))] for name, values in OPTIONS.items()}
    model, train = {}, {}
    negatives = dict(MODES[mode])
    for path, value in options.items():
        section, _, field = path.rpartition(".")
        if section:
            {"model": model, "train": train, "train.negatives": negatives}[section][field] = value
    fixed = {"dim": 8, "rule_length": 0, "fusion": fusion, "scorer": scorer, "feature_dropout": 0.4}
    kind = "no-dropout" if changes else "dropout"
    return Case(
        f"{fusion} {scorer} {mode} {kind}",
        options,
        options["tables"],
        ModelConfig.model_validate({**fixed, **model, **changes}),
        TrainConfig.model_validate(
            {
                "epochs": 100,
                "eval_every": 100,
                "batch_size": 450,
                "learning_rate": 0.01,
                "dtype": "float32",
                "device": "cpu",
                "seed": 11,
                **train,
                "negatives": negatives,
            }
        ),
    )


def golden_world() -> World:
    """Return a graph in which most entities have an image and a text, some neither."""
    return planted_world(num_things=260, absent=0.1)


def golden_tables(world: World) -> dict[str, FeatureTable]:
    """Return up to three images, a text and, of half of the entities, a sound."""
    generator = np.random.default_rng(7)
    shape = (len(world.image), 3)
    image = world.image[:, None] + generator.normal(size=(*shape, world.image.shape[1])) * 0.5
    has_image = (generator.random(shape) < 0.5) & world.has_image[:, None]
    has_image[:, 0] = world.has_image
    sound = generator.normal(size=(len(world.image), 5)).astype(np.float32)
    has_sound = (generator.random(len(sound)) < 0.5) & (world.has_image | world.has_text)
    return {
        "image": FeatureTable(image.astype(np.float32), has_image, "dense"),
        "text": feature_table(world.text, world.has_text),
        "sound": feature_table(sound, has_sound),
    }


class _EnoughEpochs(Exception):  # noqa: N818
    """As many epochs as wanted have ended."""


def measure(case: Case, world: World, tables: Mapping[str, FeatureTable]) -> dict[str, Any]:
    """Train a case and return what is compared.

    Returns:
        `losses`: the mean loss of each epoch. `norms`: the norm of all gradients together at each
        step. `gradients`: the norm of each parameter's gradient at the last step, by name;
        parameters without a gradient are left out.
    """
    losses: list[float] = []
    gradients: list[dict[str, float]] = []

    def after_epoch(report: EpochReport) -> None:
        losses.append(report.loss)
        if len(losses) == NUM_EPOCHS:
            raise _EnoughEpochs

    with TemporaryDirectory() as folder:
        chosen = {name: tables[name] for name in case.tables}
        alone = Processes(torch.device("cpu"))
        trainer = Trainer(
            world.graph, chosen, case.model, case.train, RunFolder(Path(folder)), alone
        )
        _draw_weights(trainer.model)
        trainer.optimizer.register_step_pre_hook(
            lambda *_: gradients.append(dict(_gradient_norms(trainer.model)))
        )
        try:
            trainer.run(after_epoch)
        except _EnoughEpochs:
            norms = [_norm_of_all(step) for step in gradients]
            return {"losses": losses, "norms": norms, "gradients": gradients[-1]}
    raise AssertionError("the training has ended before its epochs")


@torch.no_grad()
def _draw_weights(model: nn.Module) -> None:
    """Draw every parameter from a generator that is seeded by its name."""
    for name, parameter in model.named_parameters():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)


def _gradient_norms(model: nn.Module) -> Iterator[tuple[str, float]]:
    """Yield names of parameters and the norms of their gradients, dense or sparse."""
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            yield name, float(_values(parameter.grad).double().norm())


def _values(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _norm_of_all(norms: Mapping[str, float]) -> float:
    return float(np.linalg.norm(list(norms.values())))


def main() -> None:
    """Write the golden file anew."""
    torch.set_num_threads(1)
    world = golden_world()
    tables = golden_tables(world)
    found = {name: _rounded(measure(case, world, tables)) for name, case in cases().items()}
    lines = (f"{json.dumps(name)}: {json.dumps(it)}" for name, it in found.items())
    GOLDEN_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _rounded(measured: Any) -> Any:
    """Round to eight digits, far below the tolerance of the comparison."""
    if isinstance(measured, dict):
        return {name: _rounded(it) for name, it in measured.items()}
    if isinstance(measured, list):
        return [_rounded(it) for it in measured]
    return float(f"{measured:.8g}")


if __name__ == "__main__":
    main()
