"""`mocme predict` with questions: without a relation, new ones only, thousands from a file."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from small_runs import Command, mocme

from model.prediction.predictor import Predictor
from model.prediction.questions import Question
from storage.datasets.graph import Graph

Asked = list[dict[str, str]]


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return Predictor(run)


@pytest.fixture(scope="module")
def graph(predictor: Predictor) -> Graph:
    return predictor.graph


@pytest.fixture(scope="module")
def asked(graph: Graph) -> Asked:
    """Questions of all kinds, one of them twice."""
    ids, names = graph.entities, graph.names
    (h, r, t), (head, _, tail) = graph.train[[0, 7]].tolist()
    relation = graph.relations[r]
    return [
        {"head": ids[h], "relation": relation, "tail": ""},
        {"head": "", "relation": relation, "tail": names[t]},
        {"head": names[head].upper(), "relation": "", "tail": ""},
        {"head": "", "relation": "", "tail": ids[tail]},
        {"head": ids[h], "relation": relation, "tail": ""},
    ]


def ask(run: Path, *words: object) -> Command:
    return mocme("predict", "--run", run, *words)


def found_by(run: Path, *words: object) -> Command:
    command = ask(run, *words)
    assert command.exit_code == 0, command.stderr
    return command


def write_csv(path: Path, rows: Asked, dialect: str = "excel", end: str = "\n") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["head", "relation", "tail"], dialect=dialect)
        writer.writer = csv.writer(file, dialect, lineterminator=end)  # type: ignore[assignment]
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    dialect = "excel" if path.suffix == ".csv" else "excel-tab"
    with path.open(newline="") as file:
        return list(csv.DictReader(file, dialect=dialect))


def cells(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    columns = ("question", "entity", "head", "relation", "tail", "known")
    return [tuple(str(row[column]) for column in columns) for row in rows]


class TestOneQuestion:
    def test_without_a_relation_both_ends_and_the_relation_are_told(
        self, run: Path, predictor: Predictor, asked: Asked
    ) -> None:
        for side, word in (("head", asked[2]["head"]), ("tail", asked[3]["tail"])):
            found = found_by(run, f"--{side}", word, "-k", 6, "--json").json["answers"]
            expected = predictor.answers(**{side: word}, k=6)
            told = [(it["head"], it["relation"], it["tail"]) for it in found]
            assert told == [(it.head, it.relation, it.tail) for it in expected]
            assert [it["probability"] for it in found] == pytest.approx(
                [it.probability for it in expected]
            )
            table = found_by(run, f"--{side}", word, "-k", 1).stdout
            assert all(column in table for column in ("head", "relation", "tail", "probability"))
            assert expected[0].relation[:8] in table

    def test_limits_are_taken(self, run: Path, predictor: Predictor, asked: Asked) -> None:
        words = ("--head", asked[0]["head"], "--new", "--per-head", 1, "-k", 3)
        found = found_by(run, *words, "--json").json["answers"]
        expected = predictor.answers(head=asked[0]["head"], new=True, per_head=1, k=3)
        assert [it["entity"] for it in found] == [it.entity for it in expected]
        least = expected[1].probability
        fewer = found_by(run, *words, "--min-probability", least, "--json").json["answers"]
        assert fewer == [it for it in found if it["probability"] >= least]
        none = found_by(run, *words, "--min-probability", 1)
        assert none.stdout == ""
        assert "no answer is left by" in none.stderr

    def test_who_has_no_expected_relation_is_told_so(
        self, run: Path, predictor: Predictor, graph: Graph
    ) -> None:
        size = graph.num_entities
        nobody = next(
            graph.entities[row]
            for row in range(size)
            if not predictor.questions.row(Question(tail=graph.entities[row])).relations
        )
        found = found_by(run, "--tail", nobody, "--json")
        assert found.json["answers"] == []
        assert "no relation is to be expected of" in found.stderr

    def test_rules_come_with_a_path_and_a_sentence(
        self, run: Path, predictor: Predictor, graph: Graph, asked: Asked
    ) -> None:
        answers = [
            answer
            for row in asked[:2]
            for end in ("head", "tail")
            if row[end]
            for answer in found_by(
                run, f"--{end}", row[end], "--relation", row["relation"], "-k", 30, "--json"
            ).json["answers"]
        ]
        facts = {
            (graph.entities[h], graph.relations[r], graph.entities[t])
            for h, r, t in graph.train.tolist()
        }
        rules = [(answer, answer["rule"]) for answer in answers if answer["rule"]]
        assert rules
        for answer, rule in rules:
            path = rule["path"]
            assert path[-1] == answer["entity"]
            assert {path[0], path[-1]} == {answer["head"], answer["tail"]}
            for start, step, end in zip(path[:-1], rule["body"], path[1:], strict=True):
                relation = step.removeprefix("inverse of ")
                assert ((start, step, end) if relation == step else (end, relation, start)) in facts
            assert rule["num_paths"] >= 1
            assert rule["sentence"].count(", and ") == (len(path) > 2)
            lead, share = rule["sentence"].rsplit(": ", 1)
            assert f'"{predictor.wording.relation(answer["relation"])}" ' in lead.split(" to ")[-1]
            assert "of pairs joined like this have" in share

    @pytest.mark.parametrize(
        "words",
        [
            ("--head", "a", "--tail", "b"),
            ("--relation", "eats", "--all"),
            ("--new",),
            ("--head", "a", "--min-probability", "1.5"),
            ("--head", "a", "--per-head", "0"),
            ("--head", "a", "--no-evidence"),
            ("--questions", "x.csv", "--head", "a"),
            ("--questions", "x.csv", "--all"),
            ("--questions", "x.csv", "--why"),
            ("--questions", "x.csv", "--spreadsheet-safe"),
        ],
    )
    def test_what_does_not_go_together(self, run: Path, words: tuple[str, ...]) -> None:
        command = ask(run, *words)
        assert command.exit_code == 2
        assert "Traceback" not in command.stderr


def test_a_completed_graph_has_so_many_of_a_head(run: Path, tmp_path: Path) -> None:
    words = ("--all", "--per-head", 1, "--min-probability", 0.001, "-k", 5)
    found_by(run, *words, "--out", tmp_path / "x.csv")
    rows = read(tmp_path / "x.csv")
    assert rows
    assert len({(row["relation"], row["head"]) for row in rows}) == len(rows)
    assert min(float(row["probability"]) for row in rows) >= 0.001


class TestFiles:
    def test_every_format_in_and_out_has_the_same(
        self, run: Path, predictor: Predictor, asked: Asked, tmp_path: Path
    ) -> None:
        lines = tmp_path / "q.jsonl"
        given = [{name: cell for name, cell in row.items() if cell} for row in asked]
        lines.write_text("".join(f"{json.dumps(row)}\n" for row in given))
        files = [
            lines,
            write_csv(tmp_path / "q.csv", asked),
            write_csv(tmp_path / "q.tsv", asked, "excel-tab"),
        ]
        limits: dict[str, Any] = {"k": 3, "new": True}
        expected = [
            (str(line), it.entity, it.head, it.relation, it.tail, "False")
            for line, row in enumerate(given, start=1)
            for it in predictor.answers(**row, **limits)
        ]
        for file in files:
            for suffix in (".csv", ".tsv", ".jsonl", ".parquet"):
                out = tmp_path / f"a{suffix}"  # replaced, from the second file on
                command = found_by(
                    run, "--questions", file, "--out", out, "-k", 3, "--new", "--json"
                )
                assert command.json["answers"] == len(expected)
                assert command.json["questions"] == len(asked)
                first = 1 if file == lines else 2
                moved = [(str(int(row[0]) - first + 1), *row[1:]) for row in cells(read(out))]
                assert moved == expected

    def test_standard_output_has_a_table_or_an_object(
        self, run: Path, asked: Asked, tmp_path: Path
    ) -> None:
        file = write_csv(tmp_path / "q.csv", asked)
        found = found_by(run, "--questions", file, "-k", 2, "--json").json["questions"]
        assert [it["question"] for it in found] == [2, 3, 4, 5, 6]
        assert [len(it["answers"]) for it in found] == [2] * 5
        assert found[0]["answers"] == found[4]["answers"]
        assert found[3]["tail"] == asked[3]["tail"]
        assert found[3]["relation"] is None
        assert "line" in found_by(run, "--questions", file, "-k", 1).stdout

    def test_without_evidence_columns_are_there_and_empty(
        self, run: Path, asked: Asked, tmp_path: Path
    ) -> None:
        file = write_csv(tmp_path / "q.csv", asked)
        out = tmp_path / "a.csv"
        found_by(run, "--questions", file, "--out", out)
        whole = read(out)
        found_by(run, "--questions", file, "--out", out, "--no-evidence")
        bare = read(out)
        assert [*bare[0]] == [*whole[0]]
        assert {row["nearest_head"] for row in bare} == {row["rule"] for row in bare} == {""}
        assert cells(bare) == cells(whole)

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_what_spreadsheets_write_is_read(
        self, run: Path, asked: Asked, tmp_path: Path, end: str
    ) -> None:
        plain = write_csv(tmp_path / "q.csv", asked, end=end).read_bytes()
        quoted = "\ufeff".encode() + b'"head",relation,tail' + plain[len(b"head,relation,tail") :]
        blank = f"{end},,{end}{end}".encode()
        (tmp_path / "q.csv").write_bytes(quoted + blank)
        found = found_by(run, "--questions", tmp_path / "q.csv", "-k", 1, "--json").json
        assert [it["question"] for it in found["questions"]] == [2, 3, 4, 5, 6]

    def test_the_line_of_a_question_is_its_first(
        self, run: Path, asked: Asked, tmp_path: Path
    ) -> None:
        head = asked[0]["head"]
        (tmp_path / "q.csv").write_text(
            f'tail,head\n"",{head}\n\n"no\nsuch\nname",\n,{head}\n,nobody\n'
        )
        command = ask(run, "--questions", tmp_path / "q.csv")
        assert command.exit_code == 2
        assert "q.csv, line 4, field 'tail': found 'no\\nsuch\\nname'" in command.stderr
        assert "q.csv, line 8, field 'head': found 'nobody'" in command.stderr

    def test_all_bad_lines_are_told(self, run: Path, asked: Asked, tmp_path: Path) -> None:
        good = json.dumps({"head": asked[0]["head"], "relation": asked[0]["relation"]})
        bad = [
            ("{", "not JSON"),
            ("[1]", "one object a line"),
            ('{"head": 7}', "field 'head': found the value '7'; allowed: an id or name"),
            ('{"head": "a", "tail": "b"}', "found both head and tail; allowed: exactly one"),
            ('{"relation": "eats"}', "found neither head nor tail; allowed: exactly one"),
            ("{}", "found neither head nor tail"),
            ('{"head": "a", "realtion": "b"}', "the field 'realtion' (did you mean 'relation'?)"),
            (good.replace(asked[0]["relation"], "nonsense"), "field 'relation': found 'nonsense'"),
            ('{"tail": "\\u001b[31mred"}', "field 'tail': found '\\x1b[31mred'"),
            ("[" * 100_000, "not JSON"),
        ]
        path = tmp_path / "q.jsonl"
        path.write_text("".join(f"{good}\n{line}\n" for line, _ in bad))
        command = ask(run, "--questions", path, "--out", tmp_path / "a.csv")
        assert command.exit_code == 2
        told = command.stderr.splitlines()
        assert len(told) == len(bad)
        for place, (line, (_, reason)) in enumerate(zip(told, bad, strict=True)):
            assert f"q.jsonl, line {2 * place + 2}" in line
            assert reason in line
        assert not (tmp_path / "a.csv").exists()

        path.write_text('{"head": "nobody"}\n' * 37)
        told = ask(run, "--questions", path).stderr.splitlines()
        assert len(told) == 11
        assert "found 37 bad lines, of which the first 10 are named" in told[-1]

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("q.csv", "", "found no question"),
            ("q.csv", "head,relation,tail\n", "found no question"),
            ("q.jsonl", "\n\n", "found no question"),
            ("q.csv", "head,realtion\n", "'realtion' (did you mean 'relation'?)"),
            ("q.csv", "Head,tail\n", "'Head' (did you mean 'head'?)"),
            ("q.csv", "head,head\n", "the column 'head' twice"),
            ("q.csv", "relation\nx\n", "neither a column 'head' nor 'tail'"),
            ("q.csv", "head,tail\na,b,c\n", "line 2: found 3 cells; allowed: 2"),
            ("q.csv", 'head,tail\n"a\n', "line 2: found a row that cannot be read"),
            ("q.csv", "head,tail\n\udcff,\n", "line 2: found the byte 0xff, not UTF-8"),
            ("q.txt", "head\n", "found the suffix '.txt'; allowed: .jsonl, .csv, .tsv"),
        ],
    )
    def test_a_file_that_cannot_be_read(
        self, run: Path, tmp_path: Path, name: str, content: str, reason: str
    ) -> None:
        (tmp_path / name).write_bytes(content.encode(errors="surrogateescape"))
        command = ask(run, "--questions", tmp_path / name)
        assert command.exit_code == 2
        assert reason in command.stderr
        assert command.stderr.count("\n") == 1
        assert "; allowed: " in command.stderr

    def test_no_file_and_a_folder(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "folder.csv").mkdir()
        for name, reason in (("none.csv", "no such file"), ("folder.csv", "a directory")):
            command = ask(run, "--questions", tmp_path / name)
            assert command.exit_code == 2
            assert reason in command.stderr

    def test_no_file_of_others_is_replaced(self, run: Path, asked: Asked, tmp_path: Path) -> None:
        file = write_csv(tmp_path / "q.csv", asked)
        before = file.read_bytes()
        for out in (file, write_csv(tmp_path / "other.csv", asked)):
            command = ask(run, "--questions", file, "--out", out)
            assert command.exit_code == 2
            assert "found another file" in command.stderr
        assert file.read_bytes() == before
        command = ask(run, "--questions", file, "--out", tmp_path / "x.nt")
        assert command.exit_code == 2
        assert "found the suffix '.nt'; allowed: .csv, .tsv, .jsonl, .parquet" in command.stderr


class TestOneQuestionToAFile:
    @pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
    def test_answers_are_those_of_the_terminal(
        self, run: Path, asked: Asked, tmp_path: Path, suffix: str
    ) -> None:
        out = tmp_path / f"a{suffix}"
        for question in asked:  # each replaces the file before
            words = [
                word for part, name in question.items() if name for word in (f"--{part}", name)
            ]
            shown = found_by(run, *words, "-k", 4, "--new", "--json").json["answers"]
            told = found_by(run, *words, "-k", 4, "--new", "--out", out, "--json").json
            assert told["answers"] == len(shown) == 4
            assert told["questions"] == 1
            rows = read(out)
            assert [row["entity"] for row in rows] == [it["entity"] for it in shown]
            assert [float(row["probability"]) for row in rows] == [
                it["probability"] for it in shown
            ]
            assert {str(row["question"]) for row in rows} == {"1"}

    def test_without_answers_the_file_has_its_columns(
        self, run: Path, asked: Asked, tmp_path: Path
    ) -> None:
        words = ("--head", asked[0]["head"], "--new", "--out", tmp_path / "a.csv")
        found_by(run, *words)
        whole = (tmp_path / "a.csv").read_text().splitlines()
        command = found_by(run, *words, "--min-probability", 1)
        assert "no answer is left" in command.stderr
        assert (tmp_path / "a.csv").read_text().splitlines() == whole[:1]
        assert "0 answers to 1 question written" in command.stdout

    def test_a_file_of_others_stays(self, run: Path, asked: Asked, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("mine\n")
        command = ask(run, "--head", asked[0]["head"], "--out", tmp_path / "a.csv")
        assert command.exit_code == 2
        assert (tmp_path / "a.csv").read_text() == "mine\n"

    def test_formulas_get_an_apostrophe(self, run: Path, asked: Asked, tmp_path: Path) -> None:
        words = ("--head", asked[0]["head"], "--out", tmp_path / "a.csv", "--spreadsheet-safe")
        found_by(run, *words)
        command = ask(run, *words[:2], "--spreadsheet-safe")
        assert command.exit_code == 2
        assert "--spreadsheet-safe is for --out" in command.stderr


def test_the_number_of_answers_needs_a_question(run: Path, project: Path) -> None:
    command = mocme("predict", project / "mocme.yaml", "-k", 3)
    assert command.exit_code == 2
    assert "predict.k=N" in command.stderr.replace("\n", " ")


def test_what_python_needs_is_in_the_package(run: Path, asked: Asked) -> None:
    import mocme as package

    question = package.Question(head=asked[0]["head"], relation=asked[0]["relation"])
    found = package.Predictor(run).predict_many([question], k=2)
    assert found["question"].tolist() == [0, 0]


class TestRelationAlone:
    """What a relation lacks, without a file of questions."""

    def test_its_most_probable_missing_triples_are_told(
        self, run: Path, predictor: Predictor
    ) -> None:
        relation = predictor.graph.relations[0]
        words = ("--relation", relation, "-k", 7, "--per-head", 1)
        found = found_by(run, *words, "--json").json["triples"]
        expected = predictor.missing_triples([relation], k=7, per_head=1)
        assert [(it["head"], it["tail"]) for it in found] == [(it.head, it.tail) for it in expected]
        shown = found_by(run, *words).stdout
        assert all(it["head_name"] in shown for it in found[:3])

    def test_the_most_informative_come_first_where_they_are_wanted(
        self, run: Path, predictor: Predictor
    ) -> None:
        words = ("--relation", predictor.graph.relations[0], "-k", 7)
        probable = found_by(run, *words, "--json").json["triples"]
        found = found_by(run, *words, "--order", "informative", "--json").json["triples"]
        assert found == sorted(probable, key=lambda it: abs(it["probability"] - 0.5))

    def test_none_that_is_probable_enough_is_said_so(self, run: Path, predictor: Predictor) -> None:
        words = ("--relation", predictor.graph.relations[0], "--min-probability", 1)
        command = found_by(run, *words)
        assert command.stdout == ""
        assert "no triple is left" in command.stderr

    def test_why_is_for_questions(self, run: Path, predictor: Predictor) -> None:
        command = ask(run, "--relation", predictor.graph.relations[0], "--why")
        assert command.exit_code == 2
        assert "--why is for a question" in command.stderr
