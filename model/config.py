"""Typed configuration of the model, its training and its predictions.

A `SearchRange` says where `mocme tune` looks for a number unless it is told.
Nothing here imports torch, so that a config can be checked at start-up cost.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from model.search_range import SearchRange

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
        200, ge=2, le=4096, multiple_of=2, description="width of an embedding"
    )
    num_experts: Annotated[int, SearchRange(1, 4)] = Field(
        1, ge=1, le=64, description="experts (views) per modality"
    )
    scorer: ScorerName = Field("complex", description="how a triple's score is computed")
    fusion: FusionName = Field(
        "cmkf",
        description="a sum weighed by relevance and complementarity, only between modalities "
        "(_inter), only between the views of each (_intra), or by complementarity alone (_plain); "
        "a plain sum; a learned fusion; late = no fused block, only a mixture of scores",
    )
    complementarity: EstimatorName = Field(
        "gaussian", description="estimator of the mutual information between views"
    )
    temperature: Annotated[float, SearchRange(0.05, 5.0, log=True)] = Field(
        1.0, gt=0, description="of cmkf_plain's softmax over information"
    )
    structure: bool = Field(True, description="whether entities have learned rows")
    ensemble_size: Annotated[int, SearchRange(1, 4)] = Field(
        1,
        ge=1,
        le=16,
        description="times that all blocks but rules are learned, each from other random numbers",
    )
    joint: bool = Field(
        False, description="with modalities: learned rows are fused with them, not apart"
    )
    alone: bool = Field(True, description="whether each modality is scored on its own, too")
    context: bool = Field(True, description="with structure: whether neighbours' rows are, too")
    rule_length: int = Field(
        3,
        ge=0,
        le=3,
        description="with structure: facts in the longest body of a rule mined from the training "
        "triples; 0 = no rules",
    )
    attend: tuple[str, ...] = Field(
        (), description="modalities whose items are weighed by attention, not averaged"
    )
    neighbours: bool = Field(True, description="whether neighbours' content is a modality")
    fallback_rows: bool = Field(
        False, description="a learned row for every entity without any modality, not one for all"
    )
    feature_dropout: Annotated[float, SearchRange(0.0, 0.7, by_default=True)] = Field(
        0.4, ge=0, lt=1, description="share of feature numbers hidden"
    )
    modality_dropout: Annotated[float, SearchRange(0.0, 0.5)] = Field(
        0.0, ge=0, lt=1, description="chance to hide a modality"
    )
    neighbour_dropout: Annotated[float, SearchRange(0.0, 0.7, by_default=True)] = Field(
        0.3, ge=0, lt=1, description="chance to hide neighbours"
    )


class EgnsConfig(_Section):
    """Entropy-guided negative sampling: where the categories end and what they weigh.

    The entropy of a negative is at most ln 2 = 0.693 nats.
    """

    entropy_threshold: Annotated[float, SearchRange(0.1, 0.69)] = Field(
        0.35, gt=0, lt=0.693, description="nats from which a negative is ambiguous"
    )
    temperature: Annotated[float, SearchRange(0.1, 10.0, log=True)] = Field(
        1.0, gt=0, description="T in p = sigmoid((s_j - s+) / T)"
    )
    easy_weight: Annotated[float, SearchRange(0.0, 4.0)] = Field(
        1.0, ge=0, description="relative weight of easy negatives"
    )
    ambiguous_weight: Annotated[float, SearchRange(0.0, 4.0)] = Field(
        2.0, ge=0, description="relative weight of ambiguous ones"
    )
    hard_weight: Annotated[float, SearchRange(0.0, 4.0)] = Field(
        1.5, ge=0, description="relative weight of hard ones: low, as they may be true"
    )


class NegativesConfig(_Section):
    """The config's `train.negatives` section."""

    mode: Literal["all", "sampled"] = Field(
        "all", description="every entity is a negative, or a sample of them"
    )
    sampler: Literal["uniform", "bernoulli"] = Field("uniform", description="if mode = sampled")
    weighting: Literal["none", "self_adversarial", "egns"] = Field(
        "egns", description="how negatives are weighed"
    )
    num: Annotated[int, SearchRange(32, 1024, log=True)] = Field(
        128, ge=1, le=100_000, description="negatives per triple if mode = sampled"
    )
    known_weight: Annotated[float, SearchRange(0.0, 1.0)] = Field(
        1.0,
        ge=0,
        le=1,
        description="if mode = all: weight, against a training triple, of the other true answers "
        "to its question; 0 leaves them out",
    )
    egns: EgnsConfig = EgnsConfig()


class TrainConfig(_Section):
    """The config's `train` section."""

    epochs: int = Field(50, ge=1, le=100_000)
    batch_size: Annotated[int, SearchRange(128, 2048, log=True, by_default=True)] = Field(
        512,
        ge=1,
        description="sides of triples per step; both are asked for, or, if negatives are sampled, "
        "one that is drawn",
    )
    answers_at_once: int = Field(
        8,
        ge=1,
        description="if train.negatives.mode = all: answers to one question that are learned in "
        "one step at most, by one scoring of all entities",
    )
    optimizer: Literal["adagrad", "adam"] = "adagrad"
    learning_rate: Annotated[float, SearchRange(0.001, 1.0, log=True, by_default=True)] = Field(
        0.1, gt=0, le=10
    )
    n3_weight: Annotated[float, SearchRange(0.0001, 1.0, log=True, by_default=True)] = Field(
        0.05, ge=0, description="weight of the nuclear 3-norm penalty"
    )
    inverse_relations: bool = Field(True, description="learn heads as tails of inverse relations")
    negatives: NegativesConfig = NegativesConfig()
    held_back: Annotated[float, SearchRange(0.01, 0.2)] = Field(
        0.05, ge=0, lt=0.5, description="share of triples not trained on while cmkf needs them"
    )
    held_back_epochs: int = Field(
        5,
        ge=0,
        description="epochs in which cmkf measures relevance on them; they are trained on then",
    )
    select_on: Literal["auto", "valid", "carved"] = Field(
        "auto",
        description="the valid split, or triples carved out of train, after which all of train is "
        "trained on anew for as many epochs; auto = carved where valid leaks",
    )
    eval_every: int = Field(5, ge=1, description="epochs between evaluations on valid")
    patience: int = Field(5, ge=1, description="evaluations without a better MRR before stopping")
    seed: int = Field(0, ge=0, le=2**63 - 1)
    dtype: DtypeName = Field(
        "auto", description="of matrix products in a step; auto = bfloat16 where that is faster"
    )
    device: str = Field("auto", description="torch device; auto = the first GPU, else the CPU")
    processes: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        1, description="processes that share every batch; auto = one a GPU, one without any"
    )


class PredictConfig(_Section):
    """The config's `predict` section."""

    relations: Literal["all"] | tuple[str, ...] = Field("all", description="which to complete")
    k: int = Field(10, ge=1, le=10_000, description="answers per question")
