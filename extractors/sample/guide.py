"""Explains the sample graph to its reader, and configures a first run on it."""

from collections.abc import Sequence

from extractors.sample.broken import broken_files
from extractors.sample.facts import MEDIA_RELATIONS, PlantedRelation
from extractors.sample.world import MISSING_RATES, Thing

CONFIG = """\
# The sample graph with extractors that need no weights. Try:
#   mocme run mocme.yaml
#   mocme run mocme.yaml --set train.epochs=50
dataset: .
store: data/features
runs: data/runs
modalities:
  text: {extractor: text_hash, field: [name, text]}
  image: {extractor: image_stats}
  audio: {extractor: audio_mel}
  video: {extractor: video_stats}
  numeric: {extractor: numeric}
train:
  epochs: 15 # a demo: more epochs find more
  batch_size: 1024
  final: all # answers come from a model of all facts, metrics from one of train.tsv
"""
"""What `mocme.yaml` holds."""

_GUIDE = """\
# What is planted in this graph, and where it shows

{num_things} invented things, each with a name that reveals nothing. Every attribute of a thing is
drawn independently of its others. So only the modality that shows an attribute can tell it; the
other modalities and the rest of the graph are no better than a guess.

| Relation | Decided by | Shows in | Answers |
|---|---|---|---|
{relations}

Where two modalities are named, each alone leaves three answers and both together leave one: no
relation names a marking, a rhythm, an hour or a company.

What the graph alone shows: things of one family (`of_family`) speak one dialect (`speaks`) and
are friends of one another (`friend_of`).

## Files

- `entities.jsonl`: the things, and the colours, places, clubs and other concepts.
- `train.tsv`, `valid.tsv`, `test.tsv`: what is stated. What holds between concepts (`is_a`,
  `located_in`, `neighbour_of`, `smaller_than`) is all in `train.tsv`.
- `unstated.tsv`: {num_unstated} facts that hold as well and are stated nowhere else: the gaps that
  a prediction is to fill.
- `mocme.yaml`: a configuration to begin with.

## What makes it hard

{num_unseen} things occur in `test.tsv` alone; they have every modality. Among all other things
modalities are missing at random, and with them the answer:

{missing}

{num_broken} files are broken on purpose, to be reported and passed over:

{broken}
"""


def write_guide(things: Sequence[Thing], num_unstated: int) -> str:
    """Write the text of `FACTS.md`.

    Args:
        things: All things.
        num_unstated: Number of facts that no split states.
    """
    return _GUIDE.format(
        num_things=len(things),
        relations="\n".join(_relation_row(relation) for relation in MEDIA_RELATIONS),
        num_unstated=num_unstated,
        num_unseen=sum(thing.unseen for thing in things),
        missing="\n".join(f"- `{m}`: about {rate:.0%}" for m, rate in MISSING_RATES.items()),
        num_broken=len(broken_files()),
        broken="\n".join(f"- `{b.listed}`: {b.fault}" for b in broken_files()),
    )


def _relation_row(relation: PlantedRelation) -> str:
    cells = (
        f"`{relation.name}`",
        " and ".join(relation.traits),
        " and ".join(relation.modalities),
        ", ".join(relation.tails),
    )
    return f"| {' | '.join(cells)} |"
