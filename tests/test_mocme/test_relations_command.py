"""`mocme relations`, `mocme audit` of statements, and what a run remembers of them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from small_runs import SMALL, mocme, run_and_look_at_imports, settings, small

Fact = tuple[str, str, str]

NUM_COUNTRIES = 24
COUNTRIES = [f"country{it}" for it in range(NUM_COUNTRIES)]
FACTS: list[Fact] = [
    *((it, "capital", f"{it} town") for it in COUNTRIES),
    *((it, "speaks", f"language{row % 3}") for row, it in enumerate(COUNTRIES)),
    *((it, "speaks", f"language{row % 2 + 1}") for row, it in enumerate(COUNTRIES)),
    ("country0", "borders", "country1"),
]


@pytest.fixture
def countries(tmp_path: Path) -> Path:
    """A config of countries, with their kinds and their facts."""
    write_facts(tmp_path, FACTS)
    path = tmp_path / "mocme.yaml"
    path.write_text("dataset: .\n")
    return path


def write_facts(folder: Path, facts: Sequence[Fact]) -> None:
    """Write a dataset that has the first three facts in a split each, the rest in train."""
    names = dict.fromkeys(name for head, _, tail in facts for name in (head, tail))
    kinds = dict.fromkeys(COUNTRIES, "country")
    entities = [{"id": name, **({"kind": kinds[name]} if name in kinds else {})} for name in names]
    (folder / "entities.jsonl").write_text("\n".join(map(json.dumps, entities)))
    train, valid, test = [*facts[:1], *facts[3:]], facts[1:2], facts[2:3]
    for split, listed in (("train", train), ("valid", valid), ("test", test)):
        (folder / f"{split}.tsv").write_text("".join("\t".join(it) + "\n" for it in listed))


def stating(config: Path, **relations: object) -> Path:
    """Write what is stated of relations into a config."""
    known = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**known, "relation_types": relations}))
    return config


def test_what_is_learned_is_shown_without_a_run(countries: Path) -> None:
    found, imported = run_and_look_at_imports("relations", countries, "--json")
    by_name = {it["relation"]: it for it in found["relations"]}
    assert list(by_name) == ["borders", "capital", "speaks"]
    assert (by_name["capital"]["tails_per_head"], by_name["capital"]["domain"]) == (
        "single",
        ["country"],
    )
    assert (by_name["speaks"]["tails_per_head"], by_name["speaks"]["heads_per_tail"]) == (
        "few",
        "many",
    )
    assert by_name["borders"]["tails_per_head"] == "unknown"
    assert by_name["capital"]["stated"] == []
    assert imported == []


def test_what_is_stated_is_marked(countries: Path) -> None:
    stating(countries, borders={"single": False, "symmetric": True})
    (found,) = mocme("relations", countries, "--relation", "borders", "--json").json["relations"]
    assert (found["tails_per_head"], found["symmetric"]) == ("few", True)
    assert found["stated"] == ["symmetric", "tails_per_head"]
    shown = mocme("relations", countries).stdout
    assert "* stated in the config; all else is learned from the facts" in shown
    assert "stated in the config" not in mocme("relations", stating(countries)).stdout


def test_one_relation_is_shown_with_its_counts(countries: Path) -> None:
    shown = " ".join(mocme("relations", countries, "--relation", "capital").stdout.split())
    assert "0 of 24 heads" in shown
    missed = mocme("relations", countries, "--relation", "capitol")
    assert missed.exit_code == 2
    assert "did you mean 'capital'" in missed.stderr


def test_a_misspelt_key_names_what_is_near(countries: Path) -> None:
    missed = mocme("relations", stating(countries, capital={"singel": True}))
    assert missed.exit_code == 2
    assert "'relation_types.capital.singel': found an unknown key (did you mean 'single'?)" in (
        missed.stderr
    )


def test_an_audit_names_the_facts_against_what_is_stated(countries: Path) -> None:
    write_facts(countries.parent, [*FACTS, ("country1", "capital", "old town")])
    stating(
        countries,
        capital={"single": True, "single_head": True},
        speaks={"domain": ["country"]},
    )
    found = mocme("audit", countries, "--json").json
    assert found["violations"] == [
        {
            "relation": "capital",
            "states": "single: true",
            "facts": [
                {"head": "country1", "tail": "country1 town", "splits": ["valid"]},
                {"head": "country1", "tail": "old town", "splits": ["train"]},
            ],
        }
    ]
    assert mocme("audit", countries.parent, "--config", countries, "--json").json == found
    assert mocme("audit", countries.parent, "--json").json == {**found, "violations": []}
    shown = mocme("audit", countries)
    assert "Against what is stated of relations: 1 of 1" in shown.stdout
    assert "Against" not in mocme("audit", countries.parent).stdout


def test_two_configs_are_one_too_many_for_an_audit(countries: Path) -> None:
    assert mocme("audit", countries, "--config", countries).exit_code == 2


def test_a_run_remembers_what_was_stated_last_and_trains_no_more_for_it(project: Path) -> None:
    config = project / "mocme.yaml"
    assert mocme("relations", config).exit_code == 0
    relation = mocme("relations", config, "--json").json["relations"][0]["relation"]
    stated = f"relation_types.{relation}.single=true"
    found = small("status", config, stated).json["stages"]
    assert found["train"]["state"] == "fresh"
    assert found["predict"]["reasons"] == ["relation_types is new"]
    ran = small("predict", config, stated)
    assert ran.exit_code == 0, ran.stderr
    assert ran.json["stages"]["predict"] == "ran"
    left = yaml.safe_load((project / "data/runs/newest/config.yaml").read_text())
    assert left["relation_types"][relation]["single"] is True
    assert small("predict", config, stated).json["stages"]["predict"] == "skipped"


def test_a_prediction_is_refused_for_a_relation_that_is_not_there(project: Path) -> None:
    missed = mocme(
        "predict",
        project / "mocme.yaml",
        *settings(*SMALL, "relation_types.nowhere.single=true"),
    )
    assert missed.exit_code == 2
    assert "'relation_types': found 'nowhere'" in missed.stderr
