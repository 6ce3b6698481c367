"""What a stage's key depends on, and what it does not."""

from pathlib import Path
from typing import Any

import pytest

from flows.configs.pipeline_config import PipelineConfig
from flows.stages.keys import StageKey, changes, evaluate_key, predict_key, train_key

CONTENT = {"image": "a" * 64, "text": "b" * 64}


def config(**sections: Any) -> PipelineConfig:
    modalities = {"image": {"extractor": "image_stats"}, "text": {"extractor": "text_hash"}}
    return PipelineConfig.model_validate({"dataset": "d", "modalities": modalities, **sections})


def digest(graph: str = "g", content: dict[str, str] = CONTENT, **sections: Any) -> str:
    return train_key(config(**sections), graph, content).digest


@pytest.mark.parametrize(
    "sections",
    [
        {"dataset": "/elsewhere/d"},
        {"store": "/elsewhere/store"},
        {"runs": "/elsewhere/runs"},
        {"train": {"device": "cuda:1"}},
        {"train": {"processes": 4}},
        {"extract": {"device": "cpu", "batch_size": 3, "num_workers": 1, "timeout_seconds": 1}},
        {"predict": {"k": 3}},
        {"relation_types": {"r": {"single": True}}},
        {"train": {"epochs": 50}},  # the default, written out
    ],
)
def test_places_machines_and_later_stages_are_no_part_of_a_training(
    sections: dict[str, Any],
) -> None:
    assert digest(**sections) == digest()


@pytest.mark.parametrize(
    "sections",
    [
        {"train": {"epochs": 6}},
        {"train": {"seed": 1}},
        {"train": {"final": "all"}},
        {"train": {"negatives": {"num": 7}}},
        {"model": {"dim": 4}},
        {"model": {"structure": False}},
        {
            "modalities": {
                "image": {"extractor": "image_stats", "max_items": 1},
                "text": {"extractor": "text_hash"},
            }
        },
    ],
)
def test_every_hyper_parameter_is_part_of_a_training(sections: dict[str, Any]) -> None:
    assert digest(**sections) != digest()


def test_graph_and_content_are_part_of_a_training_and_their_order_is_not() -> None:
    assert digest(graph="h") != digest()
    assert digest(content={**CONTENT, "image": "c" * 64}) != digest()
    assert digest(content={"image": CONTENT["image"]}) != digest()
    assert digest(content=dict(reversed(CONTENT.items()))) == digest()


def test_a_key_is_the_same_in_every_process_and_on_every_machine() -> None:
    key = StageKey("evaluate", {"trained": "x", "list": [1, 2.5, None, "é"]})
    assert key.digest == "69c29520cd7c58ebcefab3e5790e0d48a2182ec66b6a6cded47afb21ebbd1089"


def test_stages_of_equal_parts_have_different_keys() -> None:
    assert StageKey("evaluate", {}).digest != StageKey("predict", {}).digest


def test_evaluation_and_prediction_follow_the_training_and_prediction_its_section() -> None:
    assert evaluate_key("x") == evaluate_key("x") != evaluate_key("y")
    assert predict_key("x", config()) != predict_key("y", config())
    assert predict_key("x", config()) != predict_key("x", config(predict={"k": 3}))
    stated = config(relation_types={"r": {"single": True}})
    assert predict_key("x", config()) != predict_key("x", stated)
    assert predict_key("x", config(runs=Path("/elsewhere"))) == predict_key("x", config())


def test_changes_are_named_with_values_where_they_are_short() -> None:
    old = train_key(config(), "g" * 64, CONTENT).parts
    new = train_key(config(train={"epochs": 6}), "h" * 64, {"image": CONTENT["image"]}).parts
    assert list(changes(old, old)) == []
    assert list(changes(old, new)) == [
        "graph changed",
        "modalities.text is gone",
        "train.epochs 50 -> 6",
    ]
    assert list(changes({"modalities": {}}, {"modalities": {"text": {"content": "b"}}})) == [
        "modalities.text is new"
    ]


def test_lists_are_shown_and_digests_are_not() -> None:
    long = ["image", "text", "numbers", "sound"]
    assert list(changes({"attend": []}, {"attend": long})) == [
        'attend [] -> ["image", "text", "numbers", "sound"]'
    ]
    assert list(changes({"digest": "a" * 64}, {"digest": None})) == ["digest changed"]
