"""What is said beside predictions, and their speed; for probabilities see `benchmarks/trust.py`.

    python benchmarks/predictions.py                                  # the sample graph
    python benchmarks/predictions.py --config examples/stamps.yaml --only reasons
    python benchmarks/predictions.py --config examples/stamps.yaml --run data/runs/newest
    python benchmarks/predictions.py --config examples/mkg-y.yaml --set train.epochs=1 --only speed

- reasons: for the best answer to questions of test, whether the modalities that are said to speak
  for it are those whose removal from every entity lowers its log-odds.
- speed: completing the graph, beside PyKEEN's `predict_all` with a ComplEx of the same width as all
  of the run's blocks together, on the same threads.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from pykeen.models import ComplEx
from pykeen.predict import predict_all
from pykeen.triples import CoreTriplesFactory
from robustness import extract, read, read_config
from scipy.stats import spearmanr
from torch import Tensor

from flows.configs.pipeline_config import PipelineConfig
from model.config import CONTENT, NEIGHBOURS
from model.evaluation.ranking import known_answers
from model.inputs import with_inverses
from model.prediction.evidence import modality_shares
from model.prediction.predictor import Predictor
from model.runs.run_folder import RunFolder
from model.runs.trained import read_model
from model.scoring.blocks import BlockScoring
from model.training.train import train
from storage.features.table import FeatureTable

Tables = Mapping[str, FeatureTable]
PARTS = ("reasons", "speed")
NUM_QUESTIONS = 400


def main() -> None:
    """Train unless a run is given, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="default: the sample graph's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--run", type=Path, help="a finished run of the config")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="mocme-predictions-") as name:
        folder = Path(name)
        config = read_config(options.config, options.set, folder)
        extract(config)
        graph, tables = read(config)
        run = options.run
        if run is None:
            run = folder / "run"
            train(graph, tables, config.model, config.train, run)
        if "reasons" in options.only:
            tell_reasons(run, config, tables)
        if "speed" in options.only:
            tell_speed(run)


def tell_reasons(run: Path, config: PipelineConfig, tables: Tables) -> None:
    """Print how shares agree with what removal does."""
    folder = RunFolder(run)
    graph, scoring = folder.read_graph(), folder.read_scoring()
    questions = with_inverses(graph.test, graph.num_relations)[:, :2]
    chosen = np.random.default_rng(0).permutation(np.unique(questions, axis=0))[:NUM_QUESTIONS]
    heads, relations = torch.from_numpy(chosen).unbind(1)
    already = known_answers(graph, torch.device("cpu")).lookup(heads, relations)

    def odds(model: BlockScoring, *, against_known: bool) -> Tensor:
        scores = model.scores(heads, relations)
        if not against_known:
            scores[already] = -torch.inf
        belief = scores.double().softmax(1)
        return belief.log() - torch.log1p(-belief)

    answers = odds(scoring, against_known=False).argmax(1)
    shares = modality_shares(scoring, heads, relations, answers)
    names = [name for name in shares if name != CONTENT]
    said = torch.stack([shares[name] for name in names], 1).numpy()
    lesser = [without(name, folder, config, tables, scoring) for name in names]
    print(f"\n{len(said)} best answers, {len(names)} modalities and parts: {', '.join(names)}")
    for known, others in ((False, "others not known"), (True, "all others")):
        before = odds(scoring, against_known=known)
        drops = [before - odds(model, against_known=known) for model in lesser]
        found = torch.stack([drop.gather(1, answers[:, None])[:, 0] for drop in drops], 1)
        print(f"log-odds against {others}:")
        tell_agreement(names, said, found.numpy())


def tell_agreement(names: Sequence[str], said: np.ndarray, found: np.ndarray) -> None:
    """Print how shares and drops of log-odds agree. Shapes: (answers, names)."""
    told = [spearmanr(row, column).statistic for row, column in zip(said, found, strict=True)]
    largest = said.argmax(1)
    hits = (largest == found.argmax(1)).mean()
    lowers = (found[np.arange(len(found)), largest] > 0).mean()
    print(f"  rank correlation of share and drop, mean over answers: {np.nanmean(told):.3f}")
    print(f"  the largest share is the largest drop: {hits:.3f} (by chance {1 / len(names):.3f})")
    print(f"  removing the largest share lowers the log-odds: {lowers:.3f}")
    for name, share, drop in zip(names, said.mean(0), found.mean(0), strict=True):
        print(f"    {name}: mean share {share:.3f}, mean drop {drop:.3f}")


def without(
    name: str, folder: RunFolder, config: PipelineConfig, tables: Tables, learned: BlockScoring
) -> BlockScoring:
    """Score as the run does, but for one modality or part, which nobody has."""
    if name not in tables and name != NEIGHBOURS:
        weights = learned.block_weights.clone()
        weights[:, [block.name for block in learned.blocks].index(name)] = 0
        return dataclasses.replace(learned, block_weights=weights)
    graph = folder.read_graph()
    inverse = config.train.inverse_relations
    model = read_model(folder, graph, tables, config.model, inverse_relations=inverse)
    for rows in (content.rows for content in model.contents.values()):
        if name in rows:
            nobody = torch.zeros(len(rows[name].entities), dtype=torch.bool)
            rows[name] = dataclasses.replace(rows[name], mask=nobody)
    edges = torch.from_numpy(with_inverses(np.unique(graph.train, axis=0), graph.num_relations))
    audible = torch.full((len(edges),), name != NEIGHBOURS)
    with torch.inference_mode():
        blocks, _ = model(model.neighbourhood(edges), audible)
    encoded = {block.name: block for block in blocks}
    kept = [encoded[b.name] if b.name.startswith(CONTENT) else b for b in learned.blocks]
    return dataclasses.replace(learned, blocks=kept)


def tell_speed(run: Path) -> None:
    """Print seconds and triples a second of completing the graph."""
    predictor = Predictor(run)
    graph, scoring = predictor.graph, predictor.scoring
    started = time.perf_counter()
    num_found = sum(1 for _ in predictor.missing_triples(k=10))
    seconds = time.perf_counter() - started
    width = sum(block.entities.shape[1] for block in scoring.encoded)
    factory = CoreTriplesFactory.create(
        torch.from_numpy(graph.train),
        num_entities=graph.num_entities,
        num_relations=graph.num_relations,
    )
    model = ComplEx(triples_factory=factory, embedding_dim=width // 2, random_seed=0).eval()
    num_triples = graph.num_entities**2 * graph.num_relations
    started = time.perf_counter()
    predict_all(model=model, k=10 * graph.num_relations, batch_size=512)
    theirs = time.perf_counter() - started
    asked = num_asked(predictor) * graph.num_entities
    print(f"\n{graph.num_entities} entities, {graph.num_relations} relations, width {width}")
    print(f"mocme: {num_found} triples with reasons, {asked:,} scored in {seconds:.1f} s, ", end="")
    print(f"{asked / seconds:,.0f}/s")
    print(f"PyKEEN: {num_triples:,} scored in {theirs:.1f} s, {num_triples / theirs:,.0f}/s")
    print(f"PyKEEN / mocme: {theirs / seconds:.2f} in seconds of the whole graph")


def num_asked(predictor: Predictor) -> int:
    """Questions that completion asks."""
    further = predictor._unanswered.further
    return sum(len(further.worth_asking(question)) for question in range(further.num_questions))


if __name__ == "__main__":
    main()
