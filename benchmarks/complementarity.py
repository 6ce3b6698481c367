"""What fusion makes of planted truth: complements, a copy, noise.

    python benchmarks/complementarity.py --out data/complementarity

Things have a colour, a shape and a maker; a picture shows the first, a text the second, a sound the
third, and nothing else shows any of them. Every form of fusion learns them from these three, and
with a copy of the picture, noise, or both beside them. Prints, as means over seeds, the share of
each modality in the things that have all, and test MRR of the fused block alone and of the whole
model; draws the shares to OUT/complementarity.svg and writes all to OUT/complementarity.csv.
"""

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.config import ModelConfig, TrainConfig
from model.evaluation.ranking import known_answers, rank
from model.scoring.blocks import BlockScoring
from model.training.train import train
from storage.datasets.graph import Graph
from storage.datasets.split import split_triples
from storage.features.table import FeatureTable

NUM_VALUES = 5
SHOWN_BY = ("image", "text", "sound")
RELATIONS = ("has colour", "has shape", "has maker")
SCENARIOS: Mapping[str, tuple[str, ...]] = {
    "three complements": (),
    "and a copy of image": ("copy",),
    "and noise": ("noise",),
    "and both": ("copy", "noise"),
}
FORMS: Mapping[str, Mapping[str, Any]] = {
    "relevance and redundancy": {"fusion": "cmkf"},
    "plain, temperature 1": {"fusion": "cmkf_plain", "temperature": 1.0},
    "plain, temperature 0.1": {"fusion": "cmkf_plain", "temperature": 0.1},
    "sum": {"fusion": "sum"},
    "attention": {"fusion": "attention"},
    "gate": {"fusion": "gate"},
}
COLOURS = {
    "image": "#3182bd",
    "copy": "#9ecae1",
    "text": "#e6550d",
    "sound": "#31a354",
    "noise": "#969696",
}


@dataclass(frozen=True)
class Outcome:
    """What a training led to.

    Attributes:
        shares: Mean share by modality.
        fused_mrr: Of the fused block alone.
        mrr: Of the whole model.
    """

    shares: Mapping[str, float]
    fused_mrr: float
    mrr: float


def main() -> None:
    """Train, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--things", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("data/complementarity"))
    options = parser.parse_args()
    outcomes: dict[tuple[str, str], Outcome] = {}
    print("| Modalities | Fusion | Shares | MRR, fused block | MRR, all blocks |")
    print("|---|---|---|---|---|")
    for scenario in SCENARIOS:
        for form in FORMS:
            found = [
                learn(scenario, form, seed, options.things, options.epochs)
                for seed in range(options.seeds)
            ]
            outcomes[scenario, form] = mean_of(found)
            print(row_of(scenario, form, outcomes[scenario, form]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "complementarity.csv", outcomes)
    draw(options.out / "complementarity.svg", outcomes)


def learn(scenario: str, form: str, seed: int, num_things: int, epochs: int) -> Outcome:
    """Train on a scenario and look at what came out."""
    graph, tables = planted(num_things, SCENARIOS[scenario], seed)
    plain = {"structure": False, "neighbours": False, "dim": 32}
    model = ModelConfig.model_validate({**plain, **FORMS[form]})
    config = TrainConfig(epochs=epochs, batch_size=64, held_back=0.15, seed=seed, device="cpu")
    with tempfile.TemporaryDirectory(prefix="mocme-planted-") as folder:
        train(graph, tables, model, config, Path(folder))
        scoring = BlockScoring.load(Path(folder) / "scoring.safetensors")
    shares = scoring.modality_weights[:num_things].mean(0).tolist()
    fused = replace(
        scoring, blocks=scoring.blocks[:1], block_weights=torch.ones(len(scoring.block_weights), 1)
    )
    by_modality = dict(zip(scoring.modalities, shares, strict=True))
    return Outcome(by_modality, mrr_of(fused, graph), mrr_of(scoring, graph))


def mrr_of(scoring: BlockScoring, graph: Graph) -> float:
    """Return the filtered MRR on test."""
    known = known_answers(graph, torch.device("cpu"))
    return rank(scoring, graph.test, known).metrics()["mrr"]


def planted(
    num_things: int, added: Sequence[str], seed: int
) -> tuple[Graph, dict[str, FeatureTable]]:
    """Draw a graph, and the modalities that show its facts."""
    generator = np.random.default_rng(seed)
    facts = generator.integers(NUM_VALUES, size=(len(RELATIONS), num_things))
    things = np.arange(num_things)
    triples = np.concatenate(
        [
            np.stack([things, np.full(num_things, r), num_things + r * NUM_VALUES + facts[r]], 1)
            for r in range(len(RELATIONS))
        ]
    )
    num_entities = num_things + len(RELATIONS) * NUM_VALUES
    rows = {
        name: shown(values, num_entities, generator)
        for name, values in zip(SHOWN_BY, facts, strict=True)
    }
    rows["copy"] = rows["image"]
    rows["noise"] = generator.normal(size=(num_entities, 32)).astype(np.float32)
    everyone = np.ones((num_entities, 1), dtype=np.bool_)
    tables = {
        name: FeatureTable(rows[name][:, None], everyone, "dense") for name in (*SHOWN_BY, *added)
    }
    ids = tuple(f"entity-{index}" for index in range(num_entities))
    return Graph(ids, ids, RELATIONS, *split_triples(triples, ids, RELATIONS)), tables


def shown(
    values: NDArray[np.int64], num_entities: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return noisy rows that show a fact of every thing, and noise for the values themselves."""
    rows = generator.normal(size=(num_entities, 2 * NUM_VALUES)) * 0.5
    rows[np.arange(len(values)), values] += 4
    return rows.astype(np.float32)


def mean_of(found: Sequence[Outcome]) -> Outcome:
    """Average over seeds."""
    return Outcome(
        {name: float(np.mean([one.shares[name] for one in found])) for name in found[0].shares},
        float(np.mean([one.fused_mrr for one in found])),
        float(np.mean([one.mrr for one in found])),
    )


def row_of(scenario: str, form: str, outcome: Outcome) -> str:
    """Return a row of the printed table."""
    shares = ", ".join(f"{name} {share:.2f}" for name, share in outcome.shares.items())
    return f"| {scenario} | {form} | {shares} | {outcome.fused_mrr:.3f} | {outcome.mrr:.3f} |"


def write_table(path: Path, outcomes: Mapping[tuple[str, str], Outcome]) -> None:
    """Write a row for each scenario and form; a cell is empty where there is no such modality."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["modalities", "fusion", *COLOURS, "fused_mrr", "mrr"])
        for (scenario, form), found in outcomes.items():
            shares = [found.shares.get(name, "") for name in COLOURS]
            writer.writerow([scenario, form, *shares, found.fused_mrr, found.mrr])


def draw(path: Path, outcomes: Mapping[tuple[str, str], Outcome]) -> None:
    """Draw the shares as stacked bars, a panel for each scenario."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "complementarity"})
    figure = Figure(figsize=(11, 2.8), layout="constrained")
    panels = figure.subplots(1, len(SCENARIOS), sharey=True)
    forms = list(reversed(FORMS))
    for panel, scenario in zip(panels, SCENARIOS, strict=True):
        left = np.zeros(len(forms))
        for name, colour in COLOURS.items():
            widths = np.array([outcomes[scenario, form].shares.get(name, 0.0) for form in forms])
            panel.barh(forms, widths, left=left, color=colour, label=name)
            left += widths
        panel.set(title=scenario, xlim=(0, 1), xlabel="share")
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(COLOURS), frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
