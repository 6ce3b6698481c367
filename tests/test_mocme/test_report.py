"""`mocme report`: what is on the page, what it is safe from, and how it looks in a browser."""

import csv
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import soundfile
from headless_chromium import Page, find_chromium, open_chromium
from PIL import Image
from report_page import ParsedPage, media_of, parse, whole_folder
from resealed import reseal
from safetensors.numpy import load_file, save_file
from small_runs import Command, mocme, small

from extractors.thumbnail import Copier
from flows.failure_report import FAILURES_FILE
from flows.stages.predictions import Prediction, read_predictions
from mocme.report import write
from mocme.report.figure import COLOURS, DrawnFigure
from mocme.report.figure_files import is_figure_file
from mocme.report.predictions import in_turns

SECTIONS = [
    "Predictions",
    "Metrics",
    "By relation, modality and side",
    "Calibration",
    "Training",
    "Negatives",
    "Complementarity",
    "What relations are like",
    "Feature store",
    "Splits",
]
FIGURES = {
    *("metrics", "per_relation", "per_modality", "per_side", "loss", "valid_mrr"),
    *("modality_shares", "egns_shares", "egns_held_out", "modality_information"),
    *("modality_relevance", "expert_information_1", "expert_information_2", "block_shares"),
    *("coverage", "failures", "calibration"),
}
HOSTILE = (
    '</script><script>document.title="broken"</script>"\'><img src=x onerror=alert(1)> \x01$\\frac{'
)
CALIBRATION = {
    "ece": 0.04,
    "num_answers": 100,
    "bins": [
        {"lower": 0.0, "upper": 0.5, "probability": 0.2, "accuracy": 0.3, "count": 60},
        {"lower": 0.5, "upper": 1.0, "probability": 0.8, "accuracy": 0.6, "count": 40},
    ],
    "share_known": 0.5,
    "promised": 0.8,
    "true": 0.6,
}


@pytest.fixture(scope="module")
def reported(
    first_run: tuple[Path, Command], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Command]:
    """The folder of a run that was reported, and the command that did it."""
    folder, command = first_run
    assert command.exit_code == 0, command.stderr
    project = Path(shutil.copytree(folder, tmp_path_factory.mktemp("r") / "s", symlinks=True))
    run_dir = (project / "data/runs/newest").resolve()
    plant_measurements(run_dir / "model.safetensors")
    reseal(run_dir)
    return run_dir, mocme("report", run_dir, "--json")


def plant_measurements(weights: Path) -> None:
    """Put numbers where the sample is too small to measure any."""
    tensors = load_file(weights)
    for name, values in tensors.items():
        if name.startswith("contents.content.strengths."):
            if name.endswith("_information"):
                values[:] = np.linspace(0.1, 0.9, values.size).reshape(values.shape)
            elif name.endswith("inter_relevance"):
                values[:] = np.linspace(0.1, 0.5, values.size)
                values[-1] = np.nan
    save_file(tensors, weights)


@pytest.fixture(scope="module")
def html(reported: tuple[Path, Command]) -> str:
    run_dir, command = reported
    assert command.exit_code == 0, command.stderr
    return (run_dir / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def run_dir(project: Path) -> Path:
    """A run's folder to change."""
    return (project / "data/runs/newest").resolve()


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have figures drawn empty, for tests of the rest of the page."""
    draw_only(set(), monkeypatch)


def draw_only(names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all figures but the named ones drawn empty."""
    draw, empty = write.draw_figure, DrawnFigure("<svg></svg>", {})
    monkeypatch.setattr(
        write, "draw_figure", lambda figure: draw(figure) if figure.name in names else empty
    )


def report(run_dir: Path, *arguments: object) -> str:
    command = mocme("report", run_dir, *arguments)
    assert command.exit_code == 0, command.stderr
    return (run_dir / "report.html").read_text(encoding="utf-8")


def rows_of(run_dir: Path, figure: str) -> list[dict[str, str]]:
    with (run_dir / "report" / f"{figure}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# What is on the page


def test_every_section_and_every_figure_is_there(reported: tuple[Path, Command], html: str) -> None:
    run_dir, command = reported
    page = parse(html)
    assert page.texts("h2") == SECTIONS
    assert "Relations" in page.texts("caption")
    names = {str(it.attributes["id"]).removeprefix("figure-") for it in page.all("figure")}
    assert names == FIGURES
    assert len(page.all("svg")) == command.json["num_figures"] == len(FIGURES)
    files = {path.name for path in (run_dir / "report").iterdir()}
    assert all(map(is_figure_file, files)), "else a later report would never delete it"
    assert files == {f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png", "csv")}
    for name in FIGURES:
        with Image.open(run_dir / "report" / f"{name}.png") as picture:
            assert min(picture.size) > 100
        assert (run_dir / "report" / f"{name}.svg").read_text().rstrip().endswith("</svg>")


def test_the_numbers_are_those_of_the_run(reported: tuple[Path, Command], html: str) -> None:
    run_dir, _ = reported
    evaluation = json.loads((run_dir / "evaluation.json").read_text())
    metrics = {row["split"]: row for row in rows_of(run_dir, "metrics")}
    for split, title in (("test", "test, as published"), ("test_clean", "test, clean")):
        assert float(metrics[title]["MRR"]) == evaluation[split]["mrr"]
        assert int(metrics[title]["answers"]) == evaluation[split]["num_ranks"]
    by_relation = {row["relation"]: float(row["MRR"]) for row in rows_of(run_dir, "per_relation")}
    assert by_relation == {name: it["mrr"] for name, it in evaluation["per_relation"].items()}
    epochs = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    losses = [(int(row["epoch"]), float(row["Loss"])) for row in rows_of(run_dir, "loss")]
    assert losses == [(epoch["epoch"], epoch["loss"]) for epoch in epochs]
    shares = [float(row["hard"]) for row in rows_of(run_dir, "egns_shares")]
    assert shares == [epoch["egns_hard"] for epoch in epochs]
    assert f"{evaluation['test']['mrr']:.3f}" in parse(html).texts("strong")
    assert "Metrics are of the selected model, which learned train alone." in html
    assert "Predictions are of the final model, which learned train, valid and test." in html


def test_heat_maps_show_what_the_model_holds(reported: tuple[Path, Command], html: str) -> None:
    run_dir, _ = reported
    tensors = load_file(run_dir / "model.safetensors")
    information = tensors["contents.content.strengths.inter_information"]
    rows = rows_of(run_dir, "modality_information")
    names = [row["modality"] for row in rows]
    for row, values in zip(rows, information, strict=True):
        for name, value in zip(names, values, strict=True):
            assert row[name] == ("" if name == row["modality"] else str(float(value)))
    relevance = [row["relevance in nats"] for row in rows_of(run_dir, "modality_relevance")]
    planted = tensors["contents.content.strengths.inter_relevance"].tolist()
    assert relevance == [*map(str, planted[:-1]), ""]
    experts = [row for part in "12" for row in rows_of(run_dir, f"expert_information_{part}")]
    assert len(experts) == 2 * tensors["contents.content.strengths.of_views"].shape[0]
    assert (experts[0]["expert 1"], experts[1]["expert 2"]) == ("", "")


def test_coverage_counts_every_entity_once(
    reported: tuple[Path, Command], first_run: tuple[Path, Command]
) -> None:
    run_dir, _ = reported
    extracted = first_run[1].json["extracted"]
    num_entities = len(json.loads((run_dir / "graph.json").read_text())["entities"])
    for row in rows_of(run_dir, "coverage"):
        counts = [int(row[part]) for part in ("a vector", "failed", "nothing listed")]
        assert sum(counts) == num_entities
        assert counts[2] == extracted[row["modality"]]["missing"]
    failed = sum(int(row["items"]) for row in rows_of(run_dir, "failures"))
    assert failed == sum(counts["failed"] for counts in extracted.values())


def test_predictions_are_all_there_and_the_first_without_scripts(
    reported: tuple[Path, Command], html: str
) -> None:
    run_dir, command = reported
    num_lines = len((run_dir / "predictions.tsv").read_text().splitlines()) - 1
    cards = [it for it in parse(html).all("li") if it.attributes.get("class") == "card"]
    assert len(cards) == num_lines == command.json["num_predictions"]
    assert sum("hidden" not in card.attributes for card in cards) == 6
    facts = [it for it in parse(html).all("p") if it.attributes.get("class") == "nearest"]
    assert len(facts) == num_lines
    rules = [it for it in parse(html).all("p") if it.attributes.get("class") == "rule"]
    predicted = read_predictions(run_dir / "predictions.tsv")
    told = [f"By the rule {it.rule[0]} ({it.rule[1]:.2f})" for it in predicted if it.rule]
    assert sorted(it.text for it in rules) == sorted(told) != []


def test_numbers_are_told_of_whom_has_any(
    reported: tuple[Path, Command], first_run: tuple[Path, Command], html: str
) -> None:
    predicted = read_predictions(reported[0] / "predictions.tsv")
    shown = {entity for it in predicted for entity in (it.head, it.tail)}
    lines = map(json.loads, (first_run[0] / "entities.jsonl").read_text().splitlines())
    has_numbers = [line for line in lines if line.get("numeric") and line["id"] in shown]
    told = [it for it in parse(html).all("p") if it.attributes.get("class") == "numbers"]
    assert len({it.text for it in told}) == len({str(line["numeric"]) for line in has_numbers}) > 0


def test_media_are_what_they_say_and_there_once(reported: tuple[Path, Command], html: str) -> None:
    found = media_of(html)
    kinds = {mime for mime, _ in found}
    assert kinds == {"image/webp", "audio/mpeg", "video/mp4"}
    for mime, content in found:
        if mime == "image/webp":
            Image.open(BytesIO(content)).load()
        elif mime == "audio/mpeg":
            assert soundfile.read(BytesIO(content))[0].size
        else:
            with av.open(BytesIO(content)) as clip:
                assert sum(1 for _ in clip.decode(video=0)) == 12
    posters = sum(mime == "video/mp4" for mime, _ in found)
    assert len(found) == reported[1].json["num_media"] + posters
    sounds = [content for mime, content in found if mime == "audio/mpeg"]
    listed = re.findall(r'aria-label="Sound of ([^"]+)"', html)
    assert len(listed) == len(set(listed)) == len(sounds)


def test_the_page_asks_for_nothing_from_elsewhere(html: str) -> None:
    assert "http:" not in html
    assert "https:" not in html
    page = parse(html)
    for element in page.elements:
        for name in ("src", "href", "poster", "xlink:href"):
            address = element.attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), address


def test_the_page_is_made_for_screen_readers_and_keyboards(html: str) -> None:
    page = parse(html)
    assert page.all("html")[0].attributes["lang"] == "en"
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        for name in (element.attributes.get("aria-labelledby") or "").split():
            assert name in ids
    for link in page.all("a"):
        assert str(link.attributes["href"])[1:] in ids
    levels = [int(it.tag[1]) for it in page.elements if re.fullmatch(r"h\d", it.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(heading.attributes["scope"] in {"col", "row"} for heading in page.all("th"))
    assert all(picture.attributes["alt"] for picture in page.all("img"))
    assert all(it.attributes["aria-label"] for it in (*page.all("audio"), *page.all("video")))


def test_text_stands_out_in_light_and_in_dark(html: str) -> None:
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", block))
               for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL)]  # fmt: skip
    assert len(schemes) == 2
    for colours in schemes:
        for ground in ("paper", "raised", "shade"):
            for ink in ("text", "muted", "accent", "alarm"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
            for colour in COLOURS:
                assert contrast(colour, colours[ground]) >= 2.7, (colour, ground)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# What it is safe from


def test_a_second_report_has_the_same_bytes(reported: tuple[Path, Command], html: str) -> None:
    run_dir, _ = reported
    before = whole_folder(run_dir)
    report(run_dir)
    assert whole_folder(run_dir) == before


def replace_pictures(project: Path, put: Callable[[Path], None]) -> None:
    for path in (project / "media/image").iterdir():
        path.unlink()
        put(path)


def pictures_of(run_dir: Path) -> int:
    """Report a run; return how many pictures the page holds."""
    return pictures_in(report(run_dir))


def pictures_in(html: str) -> int:
    """Return how many pictures a page holds; posters are frames of clips."""
    return sum("src" in it.attributes for it in parse(html).all("img"))


@pytest.mark.usefixtures("undrawn")
def test_a_picture_outside_the_dataset_is_never_shown(
    run_dir: Path, project: Path, html: str
) -> None:
    assert pictures_in(html) > 0
    outside = project.parent / "private.png"
    Image.new("RGB", (64, 64), "red").save(outside)
    replace_pictures(project, lambda path: path.symlink_to(outside))
    (run_dir.parent / FAILURES_FILE).unlink(missing_ok=True)
    assert pictures_of(run_dir) == 0
    shutil.rmtree(project / "data/features")
    assert pictures_of(run_dir) == 0


@pytest.mark.usefixtures("undrawn")
def test_a_report_waits_for_no_fifo(run_dir: Path, project: Path) -> None:
    replace_pictures(project, os.mkfifo)
    assert pictures_of(run_dir) == 0
    page = parse((run_dir / "report.html").read_text(encoding="utf-8"))
    (warning,) = [it for it in page.all("p") if it.attributes.get("class") == "warning"]
    assert "items failed" in warning.text
    assert "a FIFO, not a file" in warning.text


@pytest.mark.usefixtures("undrawn")
def test_a_picture_that_has_failed_is_not_decoded_again(
    run_dir: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is called, and whatever the last extraction's list of failures says."""
    torn = (project / "media/image/torn.png").read_bytes()
    replace_pictures(project, lambda path: path.write_bytes(torn) and None)
    (run_dir.parent / FAILURES_FILE).unlink()
    monkeypatch.setattr(Copier, "copy", lambda *_: pytest.fail("decoded"))
    replace = {"audio": None, "video": None}
    entities = [json.loads(it) for it in (project / "entities.jsonl").read_text().splitlines()]
    lines = [json.dumps({**entity, **replace}) + "\n" for entity in entities]
    (project / "entities.jsonl").write_text("".join(lines))
    assert pictures_of(run_dir) == 0


def test_names_and_texts_from_data_are_never_markup(
    run_dir: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_only({"per_relation"}, monkeypatch)
    graph_file, predictions = run_dir / "graph.json", run_dir / "predictions.tsv"
    graph = json.loads(graph_file.read_text())
    first = read_predictions(predictions)[0]
    head, relation, tail = first.head, first.relation, first.tail
    for entity in (head, tail):
        graph["names"][graph["entities"].index(entity)] = HOSTILE
    graph["relations"][graph["relations"].index(relation)] = HOSTILE
    graph_file.write_text(json.dumps(graph))
    predictions.write_text(predictions.read_text().replace(f"\t{relation}\t", f"\t{HOSTILE}\t"))
    evaluation_file = run_dir / "evaluation.json"
    evaluation = json.loads(evaluation_file.read_text())
    evaluation["per_relation"][HOSTILE] = evaluation["per_relation"].pop(relation)
    evaluation_file.write_text(json.dumps(evaluation))
    reseal(run_dir)
    entities = project / "entities.jsonl"
    lines = [json.loads(line) for line in entities.read_text().splitlines()]
    texts = [{**line, "text": HOSTILE} if line["id"] == head else line for line in lines]
    entities.write_text("".join(f"{json.dumps(line)}\n" for line in texts))
    page = parse(report(run_dir))
    assert any(HOSTILE in text for text in page.texts("p"))
    assert HOSTILE in page.texts("option")
    assert HOSTILE in page.texts("th")
    assert len(page.all("script")) == 1
    assert all("onerror" not in element.attributes for element in page.elements)
    assert HOSTILE in {row["relation"] for row in rows_of(run_dir, "per_relation")}
    ElementTree.parse(run_dir / "report/per_relation.svg")  # noqa: S314


@pytest.mark.usefixtures("undrawn")
def test_a_budget_of_bytes_holds_and_the_page_says_what_is_left_out(run_dir: Path) -> None:
    html = report(run_dir)
    media = sum(len(uri) for uri in re.findall(r"data:\w+/[^\"]+", html))
    limit = (len(html.encode()) - media / 2) / 1e6
    command = mocme("report", run_dir, "--max-mb", limit, "--json")
    page = (run_dir / "report.html").read_text()
    assert len(page.encode()) == command.json["num_bytes"] <= limit * 1e6
    assert command.json["left_out"]
    assert "No room was left for the clips of" in page
    assert media_of(page)


@pytest.mark.usefixtures("undrawn")
def test_a_page_that_cannot_fit_is_refused(run_dir: Path) -> None:
    command = mocme("report", run_dir, "--max-mb", 0.02)
    assert command.exit_code == 2
    assert "raise --max-mb" in command.stderr


@pytest.fixture(scope="module")
def moved(
    reported: tuple[Path, Command], html: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ParsedPage]:
    """A run far from its dataset, whose evaluation has a calibration; and its page."""
    run_dir = Path(shutil.copytree(reported[0], tmp_path_factory.mktemp("r") / "moved"))
    file = run_dir / "evaluation.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "calibration": CALIBRATION}))
    reseal(run_dir)
    return run_dir, parse(report(run_dir))


def test_without_the_dataset_there_are_no_media_but_a_report(
    moved: tuple[Path, ParsedPage],
) -> None:
    page = moved[1]
    assert not page.all("img")
    assert "Without media, as the dataset cannot be read" in page.text
    assert "this is what the model hears" in page.text
    assert page.texts("h1") == ["moved"]
    assert page.texts("h2") == SECTIONS


def test_figures_of_an_earlier_report_do_not_stay(moved: tuple[Path, ParsedPage]) -> None:
    run_dir, page = moved
    drawn = {str(it.attributes["id"]).removeprefix("figure-") for it in page.all("figure")}
    assert {path.stem for path in (run_dir / "report").iterdir()} == drawn
    assert "heard" in drawn
    assert not {"coverage", "failures"} & drawn


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("calibration", "note"),
    [
        (None, "holds no calibration"),
        (
            {"num_answers": 0, "bins": [], "share_known": 0.001},
            "no question of test to compare probabilities with",
        ),
    ],
)
def test_without_probabilities_to_judge_there_is_a_sentence(
    run_dir: Path, calibration: object, note: str
) -> None:
    file = run_dir / "evaluation.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "calibration": calibration}))
    reseal(run_dir)
    assert note in report(run_dir, "--predictions", 0)


def test_calibration_is_drawn_as_it_was_measured(moved: tuple[Path, ParsedPage]) -> None:
    run_dir, page = moved
    assert "Of the answers above 1/2, 0.80 are promised and 0.60 hold" in page.text
    assert [row["true"] for row in rows_of(run_dir, "calibration")] == ["0.3", "0.6"]


def test_where_probabilities_are_off_digits_are_left_out_and_it_is_said(
    moved: tuple[Path, ParsedPage], html: str
) -> None:
    page = moved[1]
    told = "Probabilities of this run are too high by 0.20 on held-out facts"
    assert told in page.text
    shown = [it for it in page.texts("strong") if it.startswith("~")]
    assert shown
    assert all(re.fullmatch(r"~[01]\.\d", it) for it in shown)
    assert "of the facts are missing (the share held out" in parse(html).text


@pytest.mark.usefixtures("undrawn")
def test_a_broken_file_is_counted_and_left_out(run_dir: Path, project: Path) -> None:
    for kind in ("image", "audio", "video"):
        for path in sorted((project / "media" / kind).iterdir())[::2]:
            path.write_bytes(b"nothing that could be decoded")
    html = report(run_dir)
    assert re.search(r"\d+ media files could not be copied", html)
    assert media_of(html)


def test_a_run_that_was_not_evaluated_is_refused(run_dir: Path) -> None:
    (run_dir / "evaluation.json").unlink()
    command = mocme("report", run_dir)
    assert command.exit_code == 2
    assert "found no evaluation.json; allowed: a run that was evaluated" in command.stderr


@pytest.mark.parametrize("file", ["evaluation.json", "predictions.tsv", "model.safetensors"])
def test_damage_is_named(run_dir: Path, file: str) -> None:
    (run_dir / file).write_text("head\trelation\nnonsense\tof a file\n")
    command = mocme("report", run_dir)
    assert command.exit_code == 2
    assert f"{file}: found a damaged" in command.stderr


@pytest.mark.usefixtures("undrawn")
def test_one_modality_and_other_negatives_are_told_in_a_sentence_each(project: Path) -> None:
    text = "modalities={text: {extractor: text_hash, field: [name, text]}}"
    fewer = ("model.num_experts=1", "train.negatives.weighting=none", "train.final=selected")
    command = small("run", project / "mocme.yaml", text, *fewer)
    assert command.exit_code == 0, command.stderr
    run_dir = Path(command.json["run_dir"])
    html = report(run_dir)
    assert "This run has one modality, text" in html
    assert "Each modality has one expert" in html
    assert "Not weighed by EGNS here (weighting: none)" in html
    assert not {mime for mime, _ in media_of(html)}


@pytest.mark.usefixtures("undrawn")
def test_structure_alone_has_a_report_and_so_has_a_log_of_losses_only(project: Path) -> None:
    command = small("run", project / "mocme.yaml", "modalities={}", "train.final=selected")
    assert command.exit_code == 0, command.stderr
    log = Path(command.json["run_dir"]) / "metrics.jsonl"
    epochs = [json.loads(line) for line in log.read_text().splitlines()]
    kept = [{name: epoch[name] for name in ("epoch", "loss")} for epoch in epochs]
    log.write_text("".join(f"{json.dumps(epoch)}\n" for epoch in kept))
    reseal(log.parent)
    html = report(Path(command.json["run_dir"]), "--predictions", 0)
    assert "log holds no categories of negatives" in html
    assert "This run fuses no modalities" in html
    assert "learned from structure alone" in html


def test_a_report_is_no_part_of_the_training(reported: tuple[Path, Command], html: str) -> None:
    run_dir, _ = reported
    manifest = json.loads((run_dir / "stages/train.json").read_text())
    outputs = set(manifest["outputs"])
    assert "model.safetensors" in outputs
    assert not [name for name in outputs if name.startswith("report")]


@pytest.mark.usefixtures("undrawn")
def test_a_config_stands_for_its_newest_run(project: Path) -> None:
    config = project / "data/runs/newest/config.yaml"
    command = mocme("report", "--config", config, "--predictions", 0, "--json")
    assert command.exit_code == 0, command.stderr
    assert Path(command.json["page"]).is_file()
    assert mocme("report", "newest", "--config", config).exit_code == 2


def test_every_relation_has_its_turn() -> None:
    answers = [("r", 0.9), ("r", 0.8), ("s", 0.3), ("r", 0.95)]
    made = [
        Prediction("a", relation, "b", probability, None, None, {})
        for relation, probability in answers
    ]
    assert [(it.relation, it.probability) for it in in_turns(made)] == [
        *(("r", 0.95), ("s", 0.3), ("r", 0.9), ("r", 0.8))
    ]


# How it looks in a browser

needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with open_chromium(str(find_chromium())) as page:
        yield page


@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_renders(
    browser: Page, reported: tuple[Path, Command], html: str, width: int, dark: bool
) -> None:
    browser.open(reported[0] / "report.html", width=width, dark=dark)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    sizes = browser.ask("[...document.images].map(it => it.naturalWidth)")
    assert sizes
    assert min(sizes) > 0
    drawn = browser.ask(
        "[...document.querySelectorAll('figure svg')].map(it => it.getBoundingClientRect().height)"
    )
    assert len(drawn) == len(FIGURES)
    assert min(drawn) > 50
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == dark
    assert browser.problems == []
    assert all(it.startswith(("file:", "data:")) for it in browser.requests)


@needs_chromium
def test_sounds_and_clips_play(browser: Page, reported: tuple[Path, Command], html: str) -> None:
    browser.open(reported[0] / "report.html")
    for tag in ("audio", "video"):
        assert browser.ask(
            f"new Promise(done => {{ const it = document.querySelector('{tag}');"
            "it.onloadeddata = () => done(it.duration > 0.1); it.onerror = () => done(false);"
            "it.preload = 'auto'; it.load(); })"
        )
    assert browser.problems == []


@needs_chromium
def test_predictions_are_browsed_by_keyboard(
    browser: Page, reported: tuple[Path, Command], html: str
) -> None:
    browser.open(reported[0] / "report.html")
    seen = "[...document.querySelectorAll('.card:not([hidden]) h3')].map(it => it.innerText)"
    first = browser.ask(seen)
    assert len(first) == 6
    browser.press("Tab")
    assert browser.ask("document.activeElement.className") == "skip"
    browser.ask("document.getElementById('order').focus()")
    for _ in range(100):
        browser.press("Tab")
        if browser.ask("document.activeElement.id") == "next":
            break
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    assert not set(browser.ask(seen)) & set(first)
    assert browser.ask("document.getElementById('place').innerText").startswith("7 to 12 of")
    shown = "[...document.querySelectorAll('.card:not([hidden]) img')]"
    assert browser.ask(f"Promise.all({shown}.map(it => it.decode())).then(all => all.length)") > 0


@needs_chromium
def test_predictions_are_found_by_relation_and_name(
    browser: Page, reported: tuple[Path, Command], html: str
) -> None:
    browser.open(reported[0] / "report.html")
    cards = "[...document.querySelectorAll('.card:not([hidden])')]"
    relation = browser.ask(
        "(() => { const it = document.getElementById('relation'); it.selectedIndex = 2;"
        "it.dispatchEvent(new Event('change')); return it.value; })()"
    )
    assert set(browser.ask(f"{cards}.map(it => it.dataset.relation)")) == {relation}
    name = browser.ask(f"{cards}[0].querySelector('h3 span').innerText")
    find = "(() => {{ const it = document.getElementById('search'); it.value = {};"
    find += "it.dispatchEvent(new Event('input')); }})()"
    browser.ask(find.format(json.dumps(name.upper())))
    assert all(name in text for text in browser.ask(f"{cards}.map(it => it.innerText)"))
    browser.ask(find.format(json.dumps("no such name")))
    assert browser.ask(f"{cards}.length") == 0
    assert browser.ask("document.getElementById('place').innerText") == "none found"


@needs_chromium
def test_the_page_is_read_without_scripts(reported: tuple[Path, Command], html: str) -> None:
    with open_chromium(str(find_chromium()), scripts=False) as page:
        page.open(reported[0] / "report.html")
        assert page.ask("document.querySelectorAll('.card:not([hidden])').length") == 6
        assert page.ask("document.getElementById('browse').hidden")
        assert "browsing needs JavaScript" in page.ask("document.body.innerText")
