"""MoCME: the whole model, from frozen feature rows and edges to embeddings that are scored.

Blocks are scored side by side and trained each on a loss of its own:

- `content`: every modality's experts, fused within and between modalities (CMKF), together with
  what the neighbours' content says (`NeighbourMean`). It has nothing to memorise entities with.
- `content-<modality>`: the same of one modality alone, where there are several. A modality that
  is noise to most relations harms the fused block; these let its weight go to zero.
- `structure`: a learned row per entity that occurs in the training triples. With `model.joint` it
  is a modality of `content` instead.
- `context`: the mean of learned rows of an entity's neighbours.

With `model.ensemble_size` there are as many of each, the others called `<block>#2` and so on.

A joint embedding lets the learned rows drown the content, since they fit the training triples
perfectly (docs/model.md); apart, the weights of the blocks are a question that held-back triples
answer (model/scoring/block_weights.py).

Shapes: E entities, R relations (inverses included), M modalities, K experts, D width.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from model.candidates import CandidateSample
from model.config import CONTENT, CONTEXT, RESERVED_NAMES, STRUCTURE, ModelConfig
from model.encoded_block import EncodedBlock
from model.encoder.content import ContentEncoder, Knowledge
from model.encoder.neighbours import Neighbourhood
from model.encoder.tables import ContextTable, StructureTable
from model.fusion.relevance import MIN_QUESTIONS, relevance_of
from model.inputs import ModalityRows
from model.layers.repeatable import seed_for
from model.scorers import Scorer, build_scorer
from storage.errors import MocmeError


class MoCME(nn.Module):
    """The blocks of one graph.

    Args:
        rows: Feature rows by modality; may be empty.
        seen: Which entities occur in the training triples. Shape: (E,), bool.
        num_relations: Relations of the graph, inverses not counted.
        config: The config's `model` section.
        inverse_relations: Whether inverses have rows of their own or are derived.

    Raises:
        MocmeError: If there is neither a modality nor structure to learn from, or a modality has
            a name of the model's own parts.
    """

    def __init__(
        self,
        rows: Mapping[str, ModalityRows],
        seen: Tensor,
        num_relations: int,
        config: ModelConfig,
        inverse_relations: bool,
    ) -> None:
        super().__init__()
        _check_parts(rows, config)
        self._shape = (len(seen), 2 * num_relations)
        self.inverse_relations = inverse_relations
        self.scorers = nn.ModuleDict()
        self.relations = nn.ParameterDict()
        self.contents = nn.ModuleDict()
        self.structure: StructureTable | None = None
        self.context: ContextTable | None = None
        blocks = _content_blocks(rows, config)
        self.joint = config.structure and config.joint and CONTENT in blocks
        chance = torch.initial_seed()
        for name, parts in blocks.items():
            seed_for(name, chance)
            joined = StructureTable(seen, config.dim) if self.joint and name == CONTENT else None
            self.contents[name] = ContentEncoder(
                parts, len(seen), 2 * num_relations, config, joined
            )
            self._add_relations(name, config, 1.0)
        seed_for(STRUCTURE, chance)
        if config.structure and not self.joint:
            self.structure = StructureTable(seen, config.dim)
            self._add_relations(STRUCTURE, config, 0.01)
        seed_for(CONTEXT, chance)
        if config.structure and config.context:
            self.context = ContextTable(len(seen), 2 * num_relations, config.dim)
            self._add_relations(CONTEXT, config, 0.01)
        self.others = nn.ModuleList()
        alone = config.model_copy(update={"ensemble_size": 1})
        for number in range(1, config.ensemble_size):
            seed_for(f"member {number}", chance)
            self.others.append(MoCME(rows, seen.clone(), num_relations, alone, inverse_relations))

    def _add_relations(self, block: str, config: ModelConfig, scale: float) -> None:
        """Give a block a scorer and relations of its own, drawn at that scale."""
        scorer = build_scorer(config.scorer, config.dim)
        num_rows = self._shape[1] if self.inverse_relations else self._shape[1] // 2
        self.scorers[block] = scorer
        self.relations[block] = nn.Parameter(torch.randn(num_rows, scorer.relation_dim) * scale)

    @property
    def _others(self) -> Iterator["MoCME"]:
        """The ensemble's further members."""
        return (cast(MoCME, other) for other in self.others)

    @property
    def weighs(self) -> bool:
        """Whether fusion depends on what is measured of modalities or views."""
        return any(content.strengths.are_weighed for _, content in self._encoders())

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the fused content's modalities, the neighbours last; none without it."""
        return next((found.modalities for name, found in self._encoders() if name == CONTENT), ())

    def neighbourhood(self, edges: Tensor) -> Neighbourhood:
        """Prepare edges to hear neighbours over; with inverses, columns h, r, t. Shape: (N, 3)."""
        return Neighbourhood(edges, *self._shape)

    @torch.no_grad()
    def update_fusion(
        self,
        neighbourhood: Neighbourhood,
        audible: Tensor,
        held_back: CandidateSample | None = None,
    ) -> None:
        """Measure anew what fusion depends on: information shared and, if asked, relevance.

        Args:
            neighbourhood: Edges to hear neighbours over.
            audible: Which of its N edges may carry a message. Shape: (N,), bool.
            held_back: Questions that were not trained on and whose edges are not audible.
        """
        for other in self._others:
            other.update_fusion(neighbourhood, audible, held_back)
        known: list[Tensor] = []
        for name, content in sorted(self._encoders(), key=lambda found: found[0] == CONTENT):
            content.update_information(neighbourhood, audible)
            if held_back is not None:
                entities, shares = content(neighbourhood, audible)
                block = self._content_block(name, entities, shares)
                knowledge = self._knowledge(held_back, block)
                alone = known if name == CONTENT else ()
                content.update_relevance(neighbourhood, audible, knowledge, alone)
                known.append(content.strengths.inter_relevance[0])
            content.strengths.update()

    @staticmethod
    def _knowledge(held_back: CandidateSample, block: EncodedBlock) -> Knowledge:
        def knowledge(asked: Tensor, has: Tensor) -> Tensor:
            answerable = held_back.of(has[held_back.questions[:, 0]])
            if len(answerable.questions) < MIN_QUESTIONS:
                return asked.new_tensor(torch.nan)
            return relevance_of(asked, answerable, block.scorer, block.relations, block.entities)

        return knowledge

    def _encoders(self) -> Iterator[tuple[str, ContentEncoder]]:
        """The content blocks' encoders, the fused one first if there is one."""
        for name, content in self.contents.items():
            yield name, cast(ContentEncoder, content)

    def forward(
        self, neighbourhood: Neighbourhood, audible: Tensor
    ) -> tuple[list[EncodedBlock], Tensor]:
        """Encode every entity and relation.

        Args:
            neighbourhood: Edges to hear neighbours over.
            audible: Which of its N edges may carry a message. Shape: (N,), bool.

        Returns:
            The blocks, and the content's modality weights, (E, M).
        """
        blocks = []
        weights = torch.zeros(0, 0, device=audible.device)
        chance = int(torch.randint(2**62, ())) if self.training else None
        for name, content in self._encoders():
            seed_for(name, chance)
            entities, shares = content(neighbourhood, audible)
            blocks.append(self._content_block(name, entities, shares))
            if name == CONTENT:
                weights = shares
        if self.structure is not None:
            blocks.append(self._learned_block(STRUCTURE, self.structure(), self.structure.seen))
        if self.context is not None:
            blocks.append(self._learned_block(CONTEXT, *self.context(neighbourhood, audible)))
        for number, other in enumerate(self._others):
            seed_for(f"member {number}", chance)
            theirs, _ = other(neighbourhood, audible)
            blocks += [replace(it, name=f"{it.name}#{number + 2}") for it in theirs]
        seed_for("the next step", chance)
        return blocks, weights

    def penalised(self, block: EncodedBlock) -> tuple[Tensor, Tensor] | None:
        """Return the learned rows of a block whose size is penalised; None: it has none.

        Of a joint block those are the entities' alone: its relations serve the features as well.

        Returns:
            Rows of entities, (E, D), and of relations, (R, D_r).
        """
        name, _, number = block.name.partition("#")
        if number:
            other = cast(MoCME, self.others[int(number) - 2])
            return other.penalised(replace(block, name=name))
        if block.name in (STRUCTURE, CONTEXT):
            return block.entities, block.relations
        if self.joint and block.name == CONTENT:
            table = cast(StructureTable, cast(ContentEncoder, self.contents[CONTENT]).structure)
            return table.rows, torch.zeros_like(block.relations)
        return None

    def _content_block(self, name: str, entities: Tensor, shares: Tensor) -> EncodedBlock:
        content = cast(ContentEncoder, self.contents[name])
        voices = (content.modalities, shares.detach(), content.strengths.expert_shares())
        return self._block(name, entities, shares.sum(1) > 0, *voices)

    def _learned_block(self, name: str, entities: Tensor, present: Tensor) -> EncodedBlock:
        voices = ((name,), entities.new_ones(len(entities), 1), entities.new_ones(1, 1))
        return self._block(name, entities, present, *voices)

    def _block(
        self,
        name: str,
        entities: Tensor,
        present: Tensor,
        modalities: tuple[str, ...],
        shares: Tensor,
        experts: Tensor,
    ) -> EncodedBlock:
        scorer, relations = cast(Scorer, self.scorers[name]), self.relations[name]
        if not self.inverse_relations:
            relations = torch.cat([relations, scorer.inverse(relations)])
        return EncodedBlock(name, entities, relations, present, scorer, modalities, shares, experts)


def _check_parts(rows: Mapping[str, ModalityRows], config: ModelConfig) -> None:
    """Refuse where there is nothing to learn from, or parts cannot be told apart."""
    reserved = set(RESERVED_NAMES) & set(rows)
    if reserved:
        raise MocmeError(
            f"found modalities named {sorted(reserved)}; allowed: names other than "
            f"{', '.join(RESERVED_NAMES)}, which are the model's own"
        )
    if not rows and not config.structure:
        raise MocmeError(
            "found no modality with features and model.structure: false; allowed: at least one "
            "modality, or model.structure: true"
        )


def _content_blocks(
    rows: Mapping[str, ModalityRows], config: ModelConfig
) -> dict[str, Mapping[str, ModalityRows]]:
    """Which modalities each content block encodes, by the block's name."""
    if not rows:
        return {}
    each: dict[str, Mapping[str, ModalityRows]] = {
        f"{CONTENT}-{name}": {name: parts} for name, parts in rows.items()
    }
    if len(rows) == 1:
        return {CONTENT: rows}
    if config.fusion == "late":
        return each
    return {CONTENT: rows, **(each if config.alone else {})}
