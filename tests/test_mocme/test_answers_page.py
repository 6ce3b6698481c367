"""`mocme predict --all --out FILE.html`: what stands beside a prediction, and what it shows."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from report_page import media_of, parse
from small_runs import mocme

from flows.stages.staged_run import StagedRun
from mocme.predictor import Predictor
from mocme.report.answers_page import write_page
from model.prediction.wording import Wording

HOSTILE = "</td></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "answers.html"
    for _ in range(2):  # the second time, it replaces what it has written
        write(run, out)
    return out


def write(run: Path, out: Path, *words: object) -> str:
    command = mocme("predict", "--run", run, "--all", "-k", 2, "--out", out, *words)
    assert command.exit_code == 0, command.stderr
    return out.read_text(encoding="utf-8")


def test_every_triple_has_a_row_with_its_reasons(run: Path, page: Path) -> None:
    write(run, page.with_suffix(".jsonl"), "--order", "probable")
    triples = [json.loads(line) for line in page.with_suffix(".jsonl").read_text().splitlines()]
    chances = [it["probability"] for it in triples]
    assert chances == sorted(chances, reverse=True) != []
    html = page.read_text()
    found = re.findall(r'<td title="([^"]*)">', html)
    assert found == [it[end] for it in triples for end in ("head", "tail")]
    assert html.count("of pairs joined like this have") == sum(bool(it["rule"]) for it in triples)
    text = parse(html).text
    assert "Probabilities hold if" in text
    names = dict(zip((graph := Predictor(run).graph).entities, graph.names, strict=True))
    for it in triples:
        known = [names[entity] for entity in it["known_answers"].split("; ") if entity]
        assert all(name in text for name in (it["head_name"], it["tail_name"], *known))


def test_it_asks_for_nothing_and_holds_each_picture_once(page: Path) -> None:
    html = page.read_text()
    assert "http" not in html
    assert not parse(html).all("script")
    pictures = [content for mime, content in media_of(html) if mime == "image/webp"]
    assert len(pictures) == len(re.findall(r"^\.picture-\d+ ", html, re.MULTILINE)) > 0
    shown = re.findall(r'class="picture (picture-\d+)"', html)
    assert len(set(shown)) == len(pictures)


def test_names_from_data_are_never_markup(run: Path, tmp_path: Path) -> None:
    predictor = Predictor(run)
    graph = replace(predictor.graph, names=(HOSTILE,) * predictor.graph.num_entities)
    found = [
        replace(it, head=graph.entities[0])
        for it in predictor.missing_triples(predictor.graph.relations[:1], 1, in_full=True)
    ]
    assert write_page(tmp_path / "x.html", found, Wording(graph), StagedRun(run)) == 1
    page = parse((tmp_path / "x.html").read_text())
    assert any(HOSTILE in text for text in page.texts("td"))
    assert not page.all("script")
    assert all("onerror" not in element.attributes for element in page.elements)


def test_a_picture_outside_the_dataset_is_never_shown(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "private.png"
    Image.new("RGB", (64, 64), "red").save(outside)
    for path in (project / "media/image").iterdir():
        path.unlink()
        path.symlink_to(outside)
    assert not media_of(write(project / "data/runs/newest", tmp_path / "x.html"))
