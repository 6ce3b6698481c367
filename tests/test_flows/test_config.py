"""Configs as users write them: what is refused, in which words, and what is taken."""

import os
import re
import threading
import time
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.configs.writing import write_config
from flows.configs.yaml_reader import ConfigError
from model.config import ScorerName

ALIASES = "".join(f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}}}\n" for i in range(1, 30))
LISTS = "".join(f"b{i}: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 30))
CHAIN = "".join(f"c{i}: &c{i} [*c{i - 1}]\n" for i in range(1, 3000))
TEXT = "dataset: d\nmodalities:\n  text: {extractor: text_hash, %s}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# Each case: the file, and what its one-line message must say in this order.
REFUSED = {
    "unknown top-level key": (
        "dataset: d\nmodalitys: {}\n",
        [
            "line 2",
            "'modalitys'",
            "unknown",
            "did you mean 'modalities'",
            "allowed: dataset, store",
        ],
    ),
    "unknown nested key": (
        "dataset: d\ntrain:\n  epocs: 3\n",
        ["line 3", "'train.epocs'", "did you mean 'epochs'", "batch_size"],
    ),
    "unknown key two levels down": (
        "dataset: d\ntrain: {negatives: {mod: all}}\n",
        ["line 2", "'train.negatives.mod'", "did you mean 'mode'", "sampler, weighting"],
    ),
    "unknown key of an extractor": (
        "dataset: d\nmodalities:\n  image:\n    extractor: image_stats\n    sise: 3\n",
        ["line 5", "'modalities.image.sise'", "unknown", "allowed: extractor, field, max_items"],
    ),
    "unknown extractor": (
        "dataset: d\nmodalities: {image: {extractor: image_stat}}\n",
        ["'modalities.image.extractor'", "found 'image_stat'", "did you mean 'image_stats'"],
    ),
    "entry without an extractor": (
        "dataset: d\nmodalities:\n  image: {field: image}\n",
        ["'modalities.image.extractor'", "no such key", "required"],
    ),
    "cluster without a runner of one": (
        "dataset: d\nextract: {cluster: 'tcp://host:8786'}\n",
        ["line 2", "'extract'", "allowed: cluster: none with task_runner threads; or dask, ray"],
    ),
    "unknown task runner": (
        "dataset: d\nextract: {task_runner: dusk}\n",
        ["'extract.task_runner'", "found 'dusk'", "allowed: 'threads', 'dask' or 'ray'"],
    ),
    "entry that is a word": (
        "dataset: d\nmodalities: {image: image_stats}\n",
        ["'modalities.image'", "found 'image_stats'"],
    ),
    "name that no folder could have": (
        "dataset: d\nmodalities: {im/age: {extractor: image_stats}}\n",
        ["'modalities.im/age'", "found 'im/age'", "pattern"],
    ),
    "name of the model's own part": (
        "dataset: d\nmodalities: {structure: {extractor: image_stats}}\n",
        ["'modalities.structure'", "found 'structure'", "other than content, neighbours"],
    ),
    "attention to a modality that is not there": (
        "dataset: d\nmodel: {attend: [imag]}\nmodalities: {image: {extractor: image_stats}}\n",
        ["'model'", "'attend': ['imag']", "did you mean 'image'"],
    ),
    "empty field": (
        "dataset: d\nmodalities: {image: {extractor: image_stats, field: []}}\n",
        ["'modalities.image.field'", "found []", "at least 1"],
    ),
    "no dataset": ("model: {dim: 4}\n", ["'dataset'", "no such key", "required"]),
    "escape of no character": (
        'dataset: "\\UFFFFFFFF"\n',
        ["line 1, column", "found an escape of no character", "valid YAML"],
    ),
    "escape beyond Unicode": (
        'dataset: "\\U00110000"\n',
        ["line 1, column", "found an escape of no character", "valid YAML"],
    ),
    "two documents": (
        "dataset: d\n---\ndataset: e\n",
        ["line 2", "found another document", "valid YAML"],
    ),
    "empty file": ("", ["'dataset'", "required"]),
    "too small": (
        "dataset: d\ntrain: {epochs: 0}\n",
        ["line 2", "'train.epochs'", "found 0", "greater than or equal to 1"],
    ),
    "too large": (
        "dataset: d\nextract: {max_failure_rate: 1.5}\n",
        ["'extract.max_failure_rate'", "found 1.5", "less than or equal to 1"],
    ),
    "odd width": ("dataset: d\nmodel: {dim: 5}\n", ["'model.dim'", "found 5", "multiple of 2"]),
    "wrong type": (
        "dataset: d\ntrain: {learning_rate: fast}\n",
        ["'train.learning_rate'", "found 'fast'", "number"],
    ),
    "not among the choices": (
        "dataset: d\nmodel:\n  scorer: complx\n",
        ["line 3", "'model.scorer'", "found 'complx'", "'complex'", "'distmult'"],
    ),
    "neither of a union": (
        "dataset: d\npredict: {relations: 7}\n",
        ["'predict.relations'", "found 7", "'all' or", "tuple"],
    ),
    "a list where keys belong": (
        "dataset: d\nmodel: [1, 2]\n",
        ["'model'", "found [1, 2]", "keys with values"],
    ),
    "nothing to learn from": (
        "dataset: d\nmodel: {structure: false}\n",
        ["nothing to learn from", "model.structure: true", "modalities"],
    ),
    "key twice": (
        "dataset: d\ntrain: {epochs: 1}\nmodel: {dim: 4}\ntrain: {epochs: 2}\n",
        ["line 4", "'train'", "second time", "first in line 2"],
    ),
    "nested key twice": (
        "dataset: d\ntrain:\n  epochs: 1\n  epochs: 2\n",
        ["line 4", "'train.epochs'", "second time"],
    ),
    "unclosed bracket": ("dataset: d\nmodel: {dim: 4\ntrain: {}\n", ["line 3", "valid YAML"]),
    "tab": ("dataset: d\nmodel:\n\tdim: 4\n", ["line 3", "valid YAML"]),
    "python object": ("dataset: !!python/name:os.system\n", ["line 1", "valid YAML"]),
    "list": ("- dataset\n", ["line 1", "found list", "keys with values"]),
    "word": ("dataset\n", ["found str", "keys with values"]),
    "number as a key": ("dataset: d\n7: x\n", ["line 2", "found the key 7", "text"]),
}


# What YAML 1.1 and its features make of a text, and what no config means.
REFUSED |= {
    "aliases that double": ("dataset: d\na0: &a0 {x: 1}\n" + ALIASES, ["aliases", "more than"]),
    "lists that double": ("dataset: d\nb0: &b0 [x]\n" + LISTS, ["aliases", "more than"]),
    "lists one in another": ("dataset: d\nc0: &c0 [x]\n" + CHAIN, ["aliases", "levels"]),
    "alias of itself": ("dataset: d\nmodel: &m {x: *m}\n", ["line 2", "holds itself"]),
    "alias of itself in a list": ("dataset: d\nmodel: &m [*m]\n", ["line 2", "holds itself"]),
    "merge of itself": ("dataset: d\nmodel: &m {<<: *m}\n", ["line 2", "holds itself"]),
    "merge of a word": ("dataset: d\n<<: x\n", ["line 2", "allowed: valid YAML"]),
    "alias of nothing": ("dataset: *x\n", ["line 1", "undefined alias"]),
    "deep lists": ("dataset: d\nx: " + "[" * 10_000, ["line 2", "levels deep"]),
    "deep keys": ("dataset: d\nx: " + "{a: " * 10_000, ["line 2", "levels deep"]),
    "many values": ("dataset: d\nx: [" + "1, " * 50_000 + "]", ["line 2", "of them"]),
    "more than a config": ("dataset: d #" + "x" * 1_000_000, ["more than 1,000,000 bytes"]),
    "octal or not": ("dataset: d\ntrain: {epochs: 010}\n", ["line 2", "010", "write 10, 0o10"]),
    "octal or not, no octal": ("dataset: d\ntrain: {epochs: 08}\n", ["line 2", "08", "write 8"]),
    "huge integer": ("dataset: d\ntrain: {epochs: %s}\n" % ("9" * 5000), ["line 2", "integer of"]),
    "huge hex": ("dataset: d\ntrain: {epochs: 0x%s}\n" % ("f" * 9000), ["line 2", "integer of"]),
    "base 60": ("dataset: d\ntrain: {epochs: 1:30}\n", ["line 2", "'1:30'", "integer"]),
    "infinity": ("dataset: d\ntrain: {n3_weight: .inf}\n", ["line 2", "no finite number"]),
    "not a number": ("dataset: d\ntrain: {n3_weight: .NaN}\n", ["line 2", "no finite number"]),
    "too large a float": (
        "dataset: d\ntrain: {n3_weight: 1e999}\n",
        ["line 2", "no finite number"],
    ),
    "infinity as text": ("dataset: d\ntrain: {n3_weight: inf}\n", ["line 2", "'inf'", "finite"]),
    "half a surrogate": ('dataset: "d\\ud800s"\n', ["line 1", "half of a surrogate pair"]),
    "no character": ('dataset: "\\U00110000"\n', ["allowed: valid YAML"]),
    "NUL escaped": ('dataset: "d\\0s"\n', ["line 1", "the character"]),
    "NUL": ("dataset: d\n\0: x\n", ["line 2", "U+0000"]),
    "control character": ("dataset: d\nx\x1b: x\n", ["line 2", "U+001B"]),
    "python call": ("x: !!python/object/apply:os.system [id]\n", ["line 1", "the tag", "python"]),
    "own tag": ("dataset: !env HOME\n", ["line 1", "the tag !env"]),
    "binary": ("dataset: !!binary aGk=\n", ["line 1", "the tag", "binary"]),
    "timestamp": ("dataset: !!timestamp 2024-13-45\n", ["line 1", "the tag", "timestamp"]),
    "tag that does not fit": ("train: {epochs: !!int many}\n", ["line 1", "'many'", "no int"]),
    "two documents": ("dataset: d\n---\ndataset: e\n", ["line 2", "another document"]),
    "list as a key": ("dataset: d\n? [a]\n: x\n", ["line 2", "the key of several values"]),
    "date as a value": ("dataset: d\ntrain: {epochs: 2024-01-02}\n", ["'2024-01-02'", "integer"]),
    "home of nobody": ("dataset: ~nosuchuser/x\n", ["line 1", "'dataset'", "a path that can be"]),
    "long name of a file": ("dataset: " + "x" * 5000 + "\n", ["'dataset'", "at most 255 bytes"]),
    "long path": ("dataset: " + "x/" * 3000 + "\n", ["line 1", "'dataset'", "4000 bytes"]),
    "home of nobody for weights": (TEXT % "model: ~nosuchuser/z", ["line 3", "a path that can be"]),
    "long key": ("dataset: d\n? " + "k" * 5000 + "\n: 1\n", ["line 2", "kkk...", "unknown key"]),
}


@pytest.mark.parametrize(("text", "wanted"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.timeout(60)
def test_a_bad_config_gets_one_line_with_file_key_found_and_allowed(
    tmp_path: Path, text: str, wanted: list[str]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert re.search(".*".join(map(re.escape, wanted)), message), message


@pytest.mark.parametrize("case", ["aliases that double", "deep lists", "octal or not", "NUL"])
def test_a_value_of_the_command_line_is_read_as_strictly(tmp_path: Path, case: str) -> None:
    text, wanted = REFUSED[case]
    value = "{" + text.replace("\n", ", ") + "}" if case != "deep lists" else "[" * 10_000
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "dataset: d\n"), [f"train={value}"])
    message = str(caught.value)
    assert message.startswith("--set train: found '")
    assert "\n" not in message
    assert len(message) < 300
    assert wanted[-1].split()[0] in message


def test_words_are_what_yaml_1_2_says(tmp_path: Path) -> None:
    words = "[no, yes, off, 1:30, 2024-01-02, 1_000, 0b1, =, '010', \"\\ud83e\\udd8a\"]"
    text = f"dataset: 2024-13-45\npredict: {{relations: {words}}}\n"
    numbers = (
        "train: {learning_rate: 1e-2, epochs: 0x1F, seed: 0o10}\nextract: {retry_failed: yes}\n"
    )
    config = load_config(write(tmp_path, text + numbers))
    assert config.dataset == tmp_path / "2024-13-45"
    assert config.predict.relations == (
        *("no", "yes", "off", "1:30", "2024-01-02", "1_000", "0b1", "=", "010", "\U0001f98a"),
    )
    assert (config.train.learning_rate, config.train.epochs, config.train.seed) == (0.01, 31, 8)
    assert config.extract.retry_failed is True


def test_aliases_and_merges_of_a_usual_size_are_read(tmp_path: Path) -> None:
    text = (
        "\ufeffdataset: d\nmodalities:\n  a: &base {extractor: text_hash, field: name}\n"
        "  b: {<<: *base, field: text}\n"
    )
    config = load_config(write(tmp_path, text))
    assert config.fields_of("b") == ("text",)


def test_an_override_of_what_an_alias_repeats_is_of_one_place(tmp_path: Path) -> None:
    text = "dataset: d\nmodalities:\n  a: &base {extractor: text_hash, field: name}\n  b: *base\n"
    config = load_config(write(tmp_path, text), ["modalities.a.field=text"])
    assert (config.fields_of("a"), config.fields_of("b")) == (("text",), ("name",))


def test_of_very_many_problems_the_first_are_named(tmp_path: Path) -> None:
    keys = "".join(f"key{number}: 1\n" for number in range(5000))
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, f"dataset: d\n{keys}"))
    lines = str(caught.value).split("\n")
    assert len(lines) == 51
    assert lines[-1].endswith(": found 4950 more problems; allowed: none")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    words = (
        "1e3",
        "010",
        "08",
        "0o7",
        "no",
        "~",
        "1:30",
        ".5",
        "=",
        "a: b",
        "\U0001f98a",
        "é ",
        "\x85",
    )
    config = PipelineConfig.model_validate(
        {"dataset": tmp_path / "1e3", "predict": {"relations": words}}
    )
    write_config(config, tmp_path / "run.yaml")
    assert load_config(tmp_path / "run.yaml") == config


class TestSources:
    """A config is read once, from a file or from a pipe."""

    def test_a_pipe_starts_from_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        out, into = os.pipe()
        os.write(into, b"dataset: d\n")
        os.close(into)
        assert load_config(f"/dev/fd/{out}").dataset == tmp_path / "d"
        os.close(out)

    def test_a_file_on_standard_input_starts_from_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "else").mkdir()
        with write(tmp_path / "else", "dataset: d\n").open() as file:
            assert load_config(f"/dev/fd/{file.fileno()}").dataset == tmp_path / "d"

    def test_a_slow_writer_is_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")

        def feed() -> None:
            with (tmp_path / "fifo").open("w") as file:
                for part in ("dataset: ", str(tmp_path), "\n"):
                    file.write(part)
                    file.flush()
                    time.sleep(0.05)

        writer = threading.Thread(target=feed)
        writer.start()
        assert load_config(tmp_path / "fifo").dataset == tmp_path
        writer.join()

    @pytest.mark.timeout(60)
    @pytest.mark.parametrize(
        ("path", "wanted"),
        [
            ("/dev/zero", "found a device"),
            ("/dev/null", "found a device"),
            ("{tmp}/fifo", "'dataset': found no such key"),  # nobody writes to it
            ("{tmp}", "found a folder"),
            ("{tmp}/" + "x" * 300, "File name too long"),
            ("{tmp}/a\0b", "null byte"),
        ],
    )
    def test_what_is_no_config_is_one_line(self, tmp_path: Path, path: str, wanted: str) -> None:
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(ConfigError, match=wanted) as caught:
            load_config(path.format(tmp=tmp_path))
        assert "\n" not in str(caught.value)

    def test_without_a_working_folder_an_absolute_path_will_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path, "dataset: d\n")
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        assert load_config(path).dataset == tmp_path / "d"
        with pytest.raises(ConfigError, match="found a working folder that is gone"):
            load_config("run.yaml")


def test_every_problem_has_its_own_line(tmp_path: Path) -> None:
    path = write(tmp_path, "dataset: d\ntrain: {epochs: 0, sed: 1}\nmodel: {dim: 3}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = str(caught.value).splitlines()
    assert sorted(line.split("'")[1] for line in lines) == [
        "model.dim",
        "train.epochs",
        "train.sed",
    ]


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="found a folder; allowed: a readable YAML file"):
        load_config(tmp_path)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"dataset: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path)


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    write(folder, "dataset: ../stamps\nruns: /elsewhere/runs\n")
    monkeypatch.chdir(tmp_path)
    config = load_config("configs/run.yaml")
    assert config.dataset == tmp_path / "stamps"
    assert config.store == folder / "data/features"
    assert config.runs == Path("/elsewhere/runs")


def test_paths_of_an_object_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = PipelineConfig.model_validate({"dataset": "stamps"})
    assert config.dataset == tmp_path / "stamps"
    assert config.runs == tmp_path / "data/runs"


def test_field_is_the_name_or_one_or_several(tmp_path: Path) -> None:
    entry = "{extractor: text_hash, field: %s}"
    text = (
        "dataset: d\nmodalities:\n  image: {extractor: image_stats}\n"
        f"  one: {entry % 'text'}\n  two: {entry % '[name, text]'}\n"
    )
    config = load_config(write(tmp_path, text))
    assert config.fields_of("image") == ("image",)
    assert config.fields_of("one") == ("text",)
    assert config.fields_of("two") == ("name", "text")


def test_a_local_weights_folder_is_relative_to_the_file_and_a_hub_id_stays(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    text = (
        "dataset: d\nmodalities:\n"
        "  local: {extractor: text_bert, field: text, model: weights}\n"
        "  hub: {extractor: text_bert, field: text, model: google-bert/bert-base-uncased}\n"
    )
    config = load_config(write(tmp_path, text))
    assert config.modalities["local"].options["model"] == str(tmp_path / "weights")
    assert config.modalities["hub"].options["model"] == "google-bert/bert-base-uncased"


def test_paths_of_imported_features_are_relative_to_the_file(tmp_path: Path) -> None:
    text = (
        "dataset: d\nmodalities:\n"
        "  look: {extractor: imported, file: features/x.npy, ids: /lists/ids.txt}\n"
        "  own: {extractor: imported, file: x.pth, field: name}\n"
    )
    config = load_config(write(tmp_path, text))
    look = config.modalities["look"]
    assert look.path_options == look.options | {"file": str(tmp_path / "features/x.npy")}
    assert config.modalities["own"].path_options == {"file": str(tmp_path / "x.pth")}
    assert config.fields_of("look") == ("id",)
    assert config.fields_of("own") == ("name",)


def test_overrides_are_yaml_and_reach_any_depth(tmp_path: Path) -> None:
    path = write(tmp_path, "dataset: d\nmodalities: {image: {extractor: image_stats}}\n")
    overrides = ["train.epochs=7", "train.negatives.mode=sampled", "modalities={}", "dataset=e"]
    config = load_config(path, overrides)
    assert config.train.epochs == 7
    assert config.train.negatives.mode == "sampled"
    assert config.modalities == {}
    assert config.dataset == tmp_path / "e"


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("train.epocs=3", "--set train.epocs.*did you mean 'epochs'"),
        ("train.epochs", "KEY.KEY=VALUE"),
        ("=3", "KEY.KEY=VALUE"),
        ("train..epochs=3", "KEY.KEY=VALUE"),
        ("train.epochs=[", "--set train.epochs.*YAML value"),
        ("dataset.x=3", "--set dataset.x.*single value at 'dataset'"),
        ("train={7: 0}", "--set train, line 1: found the key 7; allowed: text"),
        ("train={epochs: 0}", "--set train, 'train.epochs'.*found 0"),
    ],
)
def test_a_bad_override_is_named(tmp_path: Path, override: str, wanted: str) -> None:
    path = write(tmp_path, "dataset: d\ntrain:\n  epochs: 5\n")
    with pytest.raises(ConfigError, match=wanted):
        load_config(path, [override])


def test_a_loaded_config_stays_as_it_is_when_validated_again(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    text = (
        "dataset: d\nmodalities:\n  text: {extractor: text_bert, model: weights, max_items: 3}\n"
        "predict: {relations: [likes]}\n"
    )
    config = load_config(write(tmp_path, text))
    assert PipelineConfig.model_validate(config.model_dump(mode="json")) == config


def test_the_schema_tells_a_form_choices_bounds_and_meaning() -> None:
    schema = PipelineConfig.model_json_schema()
    model, train = schema["$defs"]["ModelConfig"], schema["$defs"]["TrainConfig"]
    assert model["properties"]["scorer"]["enum"] == list(get_args(ScorerName))
    assert train["properties"]["epochs"]["minimum"] == 1
    entry = schema["$defs"]["ModalityConfig"]["properties"]
    assert "image_stats" in entry["extractor"]["enum"]
    assert entry["extractor"]["description"]
    assert schema["required"] == ["dataset"]
    assert schema["additionalProperties"] is False


def test_an_object_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="epocs"):
        PipelineConfig.model_validate({"dataset": "d", "train": {"epocs": 1}})
