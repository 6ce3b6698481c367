"""Weighed blocks: their sum, their parts, and the file they are kept in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_scorers import plain_score
from random_scoring import random_scoring
from small_training import same_tensors

from model.scorers import SCORERS
from model.scoring.blocks import BlockScoring


@pytest.mark.parametrize("scorer", sorted(SCORERS))
def test_scores_are_the_weighed_sum_of_the_blocks(scorer: str) -> None:
    scoring = random_scoring(9, 2, scorer)
    heads, relations = torch.tensor([3, 0, 8]), torch.tensor([0, 3, 1])
    found = scoring.scores(heads, relations)
    for row, (head, relation) in enumerate(zip(heads.tolist(), relations.tolist(), strict=True)):
        parts = np.zeros((2, 9))
        for index, block in enumerate(scoring.blocks):
            entities, turns = block.entities.double().numpy(), block.relations.double().numpy()
            weight = float(scoring.block_weights[relation, index])
            for tail in range(9):
                score = plain_score(block.scorer, entities[head], turns[relation], entities[tail])
                parts[index, tail] = weight * score
        np.testing.assert_allclose(found[row], parts.sum(0), rtol=1e-4, atol=1e-4)
        everyone = torch.arange(9)
        heads_, relations_ = torch.full((9,), head), torch.full((9,), relation)
        added = scoring.block_parts(heads_, relations_, everyone).T
        above = parts - parts.mean(1, keepdims=True)
        np.testing.assert_allclose(added, above, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scorer", sorted(SCORERS))
@pytest.mark.parametrize("modalities", [(), ("a",), ("a", "b")])
def test_what_is_saved_is_read_back(
    tmp_path: Path, scorer: str, modalities: tuple[str, ...]
) -> None:
    drawn = random_scoring(9, 2, scorer)
    content, structure = drawn.blocks
    shares = content.shares[:, : len(modalities)]
    content = replace(content, modalities=modalities, shares=shares)
    scoring = replace(drawn, blocks=[content, structure] if modalities else [structure])
    scoring.save(tmp_path / "scoring.safetensors")
    found = BlockScoring.load(tmp_path / "scoring.safetensors")
    assert found.modalities == modalities
    assert (found.num_entities, found.num_relations) == (9, 2)
    assert torch.equal(found.modality_weights, scoring.modality_weights)
    assert torch.equal(found.block_weights, scoring.block_weights)
    assert same_tensors(found.calibration.tensors(), scoring.calibration.tensors())
    for block, expected in zip(found.blocks, scoring.blocks, strict=True):
        assert (block.name, block.scorer.name) == (expected.name, scorer)
        assert same_tensors(block.scorer.state_dict(), expected.scorer.state_dict())
        assert torch.equal(block.entities, expected.entities)
        assert torch.equal(block.relations, expected.relations)
        assert torch.equal(block.present, expected.present)
        assert block.modalities == expected.modalities
        assert torch.equal(block.shares, expected.shares)
    assert [path.name for path in tmp_path.iterdir()] == ["scoring.safetensors"]
