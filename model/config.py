"""Typed configuration of the model, its training and its predictions.

A `SearchRange` says where `mocme tune` looks for a number unless it is told.
Nothing here imports torch, so that a config can be checked at start-up cost.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from model.search_range import SearchRange
from storage.words.devices import DeviceName

ScorerName = Literal["complex", "rotate", "distmult", "transe", "tucker"]
FusionName = Literal[
    "cmkf",
    "cmkf_inter",
    "cmkf_intra",
    "cmkf_plain",
    "sum",
    "concat_mlp",
    "attention",
    "gate",
    "late",
]
RELEVANCE_AWARE: tuple[FusionName, ...] = ("cmkf", "cmkf_inter", "cmkf_intra")
"""Fusions that depend on what is known of triples that were not trained on."""

DtypeName = Literal["auto", "float32", "bfloat16"]
EstimatorName = Literal["gaussian", "infonce", "club"]
FinalName = Literal["auto", "all", "train+valid", "selected"]

NEIGHBOURS = "neighbours"
STRUCTURE = "structure"
CONTENT = "content"
CONTEXT = "context"
RULES = "rules"
RESERVED_NAMES = (CONTENT, NEIGHBOURS, STRUCTURE, CONTEXT, RULES)
"""Names of the model's own parts, which no modality can have."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(_Section):
    """The config's `model` section."""

    dim: Annotated[int, SearchRange(64, 512, by_default=True)] = Field(
        200, ge=2, le=4096, multiple_of=2, description="Numbers in an embedding."
    )
    num_experts: Annotated[int, SearchRange(1, 4)] = Field(
        1, ge=1, le=64, description="Experts per modality; each learns a view of its own."
    )
    scorer: ScorerName = Field("complex", description="Function that computes a triple's score.")
    fusion: FusionName = Field(
        "cmkf",
        description="How modalities become one embedding. cmkf = a sum whose weights follow from "
        "relevance and complementarity; cmkf_inter weighs modalities only, cmkf_intra the views of "
        "each only, cmkf_plain by complementarity alone. sum = a plain sum. concat_mlp, attention "
        "and gate are learned. late = none, only the scores of modalities are mixed.",
    )
    complementarity: EstimatorName = Field(
        "gaussian",
        description="Estimator of the mutual information between views, for the fusions cmkf.",
    )
    temperature: Annotated[float, SearchRange(0.05, 5.0, log=True)] = Field(
        1.0,
        gt=0,
        description="For fusion cmkf_plain: temperature of its softmax over mutual information.",
    )
    structure: bool = Field(
        True,
        description="Whether every entity has a learned row, an embedding of its own.",
    )
    ensemble_size: Annotated[int, SearchRange(1, 4)] = Field(
        1,
        ge=1,
        le=16,
        description="Members of the ensemble: how often all blocks but the rules are learned, each "
        "time from another seed.",
    )
    joint: bool = Field(
        False,
        description="With modalities: whether learned rows are fused with them to one embedding, "
        "instead of being scored apart.",
    )
    alone: bool = Field(
        True, description="Whether each modality is also scored by itself, beside the fused block."
    )
    context: bool = Field(
        True,
        description="With structure: whether the mean of the neighbours' rows is scored, too.",
    )
    rule_length: int = Field(
        3,
        ge=0,
        le=3,
        description="With structure: most facts in the body of a rule that is mined from the "
        "training triples; 0 = no rules.",
    )
    attend: tuple[str, ...] = Field(
        (),
        description="Names of modalities whose items are weighed by attention; those of the other "
        "modalities are averaged.",
    )
    neighbours: bool = Field(
        True,
        description="Whether the content of an entity's neighbours counts as a modality of it.",
    )
    fallback_rows: bool = Field(
        False,
        description="Whether each entity without any modality has a learned row of its own, or all "
        "of them share one.",
    )
    feature_dropout: Annotated[float, SearchRange(0.0, 0.7, by_default=True)] = Field(
        0.4, ge=0, lt=1, description="Share of the feature numbers that a training step masks."
    )
    modality_dropout: Annotated[float, SearchRange(0.0, 0.5)] = Field(
        0.0,
        ge=0,
        lt=1,
        description="Probability that a training step masks a modality of an entity.",
    )
    neighbour_dropout: Annotated[float, SearchRange(0.0, 0.7, by_default=True)] = Field(
        0.3,
        ge=0,
        lt=1,
        description="Probability that a training step masks the neighbours of an entity.",
    )


class EgnsConfig(_Section):
    """Entropy-guided negative sampling: where the categories end and what they weigh.

    The entropy of a negative is at most ln 2 = 0.693 nats.
    """

    entropy_threshold: Annotated[float, SearchRange(0.1, 0.69)] = Field(
        0.35,
        gt=0,
        lt=0.693,
        description="Entropy in nats from which on a negative is ambiguous; it is ln 2 at most.",
    )
    temperature: Annotated[float, SearchRange(0.1, 10.0, log=True)] = Field(
        1.0,
        gt=0,
        description="Temperature T of p = sigmoid((score of negative - score of triple) / T).",
    )
    easy_weight: Annotated[float, SearchRange(0.0, 4.0)] = Field(
        1.0,
        ge=0,
        description="Relative weight of easy negatives, which score far below the triple.",
    )
    ambiguous_weight: Annotated[float, SearchRange(0.0, 4.0)] = Field(
        2.0,
        ge=0,
        description="Relative weight of ambiguous negatives, which score about as the triple.",
    )
    hard_weight: Annotated[float, SearchRange(0.0, 4.0)] = Field(
        1.5,
        ge=0,
        description="Relative weight of hard negatives, which score above the triple; some of them "
        "may be true.",
    )


class NegativesConfig(_Section):
    """The config's `train.negatives` section."""

    mode: Literal["all", "sampled"] = Field(
        "all",
        description="Which entities are negatives: all, or a sample that is drawn for each triple.",
    )
    sampler: Literal["uniform", "bernoulli"] = Field(
        "uniform",
        description="With mode sampled: head and tail are replaced with equal probability "
        "(uniform), or more often the side where fewer negatives are true (bernoulli).",
    )
    weighting: Literal["none", "self_adversarial", "egns"] = Field(
        "egns",
        description="How negatives are weighed: all the same, by score, or by entropy.",
    )
    num: Annotated[int, SearchRange(32, 1024, log=True)] = Field(
        128, ge=1, le=100_000, description="With mode sampled: negatives per triple."
    )
    known_weight: Annotated[float, SearchRange(0.0, 1.0)] = Field(
        1.0,
        ge=0,
        le=1,
        description="With mode all: weight, as negatives of a training triple, of the other true "
        "answers to its query; 0 leaves them out.",
    )
    egns: EgnsConfig = Field(
        EgnsConfig(), description="With weighting egns: entropy-guided negative sampling."
    )


class TrainConfig(_Section):
    """The config's `train` section."""

    epochs: int = Field(
        50, ge=1, le=100_000, description="Most epochs of a training; patience may end it before."
    )
    batch_size: Annotated[int, SearchRange(128, 2048, log=True, by_default=True)] = Field(
        512,
        ge=1,
        description="Queries per training step. A triple is two, one for its tail and one for its "
        "head; with sampled negatives it is one of them, drawn.",
    )
    answers_at_once: int = Field(
        8,
        ge=1,
        description="With train.negatives.mode all: most answers to one query that one training "
        "step learns; they share one scoring of all entities.",
    )
    optimizer: Literal["adagrad", "adam"] = Field(
        "adagrad", description="Optimiser of the training."
    )
    learning_rate: Annotated[float, SearchRange(0.001, 1.0, log=True, by_default=True)] = Field(
        0.1, gt=0, le=10, description="Learning rate of the optimiser."
    )
    n3_weight: Annotated[float, SearchRange(0.0001, 1.0, log=True, by_default=True)] = Field(
        0.05, ge=0, description="Weight of the nuclear 3-norm (N3) penalty on embeddings."
    )
    inverse_relations: bool = Field(
        True, description="Whether heads are learned as tails of inverse relations."
    )
    negatives: NegativesConfig = Field(
        NegativesConfig(), description="Which negatives a triple has, and what they weigh."
    )
    held_back: Annotated[float, SearchRange(0.01, 0.2)] = Field(
        0.05,
        ge=0,
        lt=0.5,
        description="For the fusions cmkf: share of the training triples that is held back at "
        "first, to measure relevance on.",
    )
    held_back_epochs: int = Field(
        5,
        ge=0,
        description="For the fusions cmkf: epochs in which those triples are held back; later "
        "epochs train on them, too.",
    )
    select_on: Literal["auto", "valid", "carved"] = Field(
        "auto",
        description="What the best epoch is selected on: the valid split, or triples carved out of "
        "train, after which all of train is trained on anew for as many epochs; auto = carved "
        "where triples of valid stand in another split.",
    )
    final: FinalName = Field(
        "auto",
        description="What the model that answers learns from: all splits, train and valid, or "
        "train alone, as the selected model does, which all metrics are of; auto = all where mocme "
        "made the splits, else selected.",
    )
    eval_every: int = Field(5, ge=1, description="Epochs between two evaluations on valid.")
    patience: int = Field(
        5, ge=1, description="Evaluations without a better MRR after which a training stops."
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="Seed of all random numbers of a training."
    )
    dtype: DtypeName = Field(
        "auto",
        description="Dtype of the matrix products in a step; auto = bfloat16 where that is faster.",
    )
    device: DeviceName = Field(
        "auto", description="Torch device; auto = the first GPU, else the CPU."
    )
    processes: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        1,
        description="Processes that share every batch; auto = one a GPU, or one without any.",
    )


class PredictConfig(_Section):
    """The config's `predict` section."""

    relations: Literal["all"] | tuple[str, ...] = Field("all", description="Relations to complete.")
    k: int = Field(10, ge=1, le=10_000, description="Answers per query.")
    missing_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of all facts that the dataset lacks, which no graph tells: the larger "
        "it is, the more probable are new answers; null = the share that was held out, or less "
        "where what came true of held-out facts shows that no more can be missing.",
    )
