"""Rules: what is mined of planted regularities, what they answer, and what is said of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_graph import World
from safetensors.torch import load_file
from scipy import sparse
from small_training import model_config, train_config

from model import Predictor
from model.candidates import CandidateSample
from model.config import RULES
from model.evaluation.evaluate import evaluate_run
from model.evaluation.ranking import known_answers
from model.inputs import with_inverses
from model.prediction.placing import arrivals, place
from model.rules import mining, rule_scores, walks
from model.rules.mining import Rules, mine_rules
from model.rules.rule_block import RuleBlock
from model.rules.rule_scores import UNFOUNDED
from model.rules.walks import Body, Walks
from model.runs.run_folder import RunFolder
from model.scoring.block_weights import fit_block_weights
from model.training.train import train
from storage.datasets.graph import Graph, Triples

CPU = torch.device("cpu")
BORN_IN, LIES_IN, CITIZEN_OF, LIVES_IN, NEXT_TO = range(5)
NUM_RELATIONS = 5
TOWNS, STATES, PEOPLE = range(0, 12), range(12, 16), range(16, 76)


def town_of(person: int) -> int:
    return TOWNS[person % len(TOWNS)]


def state_of(town: int) -> int:
    return STATES[town % len(STATES)]


@pytest.fixture(scope="module")
def facts() -> Triples:
    """People are citizens of the state in which the town of their birth lies, but for one in ten.

    Of every third, that is not told.
    """
    born = [(person, BORN_IN, town_of(person)) for person in PEOPLE]
    lies = [(town, LIES_IN, state_of(town)) for town in TOWNS]
    states = [
        (person, CITIZEN_OF, STATES[0] if person % 10 == 0 else state_of(town_of(person)))
        for person in PEOPLE
        if person % 3
    ]
    return np.array(born + lies + states, dtype=np.int64)


def as_graph(train_triples: Triples, valid: Triples, test: Triples) -> Graph:
    ids = tuple(f"e{row}" for row in range(PEOPLE.stop))
    relations = tuple(f"r{row}" for row in range(NUM_RELATIONS))
    return Graph(ids, ids, relations, train_triples, valid, test)


def mined(triples: Triples, longest: int = 3) -> Rules:
    edges = with_inverses(triples, NUM_RELATIONS)
    return mine_rules(Walks(edges, PEOPLE.stop, 2 * NUM_RELATIONS), longest)


def back(relation: int) -> int:
    return relation + NUM_RELATIONS


def plain_pairs(triples: Triples, body: Body) -> set[tuple[int, int]]:
    """The pairs that a body joins, found by looking at all walks."""
    steps = with_inverses(np.unique(triples, axis=0), NUM_RELATIONS).tolist()
    pairs = {(entity, entity) for entity in range(PEOPLE.stop)}
    for relation in body:
        pairs = {(x, t) for x, y in pairs for h, r, t in steps if (h, r) == (y, relation)}
    return pairs


class TestMining:
    def test_confidence_is_the_share_of_joined_pairs(self, facts: Triples) -> None:
        """Of 60 people the 40 whose state is told, less the wrong ones, over 60 and the prior."""
        found = dict(mined(facts).of(CITIZEN_OF))
        right = sum(
            (person, CITIZEN_OF, state_of(town_of(person))) in set(map(tuple, facts.tolist()))
            for person in PEOPLE
        )
        assert 30 < right < 40
        assert found[BORN_IN, LIES_IN] == pytest.approx(right / (60 + mining.PRIOR_PAIRS))

    def test_every_confidence_by_looking_at_all_walks(self, facts: Triples) -> None:
        """No walk here needs an entity twice but those that go there and back."""
        rules = mined(facts, longest=2)
        told = {relation: plain_pairs(facts, (relation,)) for relation in range(2 * NUM_RELATIONS)}
        num_checked = 0
        for relation in range(2 * NUM_RELATIONS):
            for body, confidence in rules.of(relation):
                joined = plain_pairs(facts, body)
                right = len(joined & told[relation])
                assert confidence == pytest.approx(right / (len(joined) + mining.PRIOR_PAIRS))
                num_checked += 1
        assert num_checked >= 4

    def test_both_directions_have_the_same_rules(self, facts: Triples) -> None:
        rules = mined(facts)
        assert len(rules.heads) > 0
        for relation in range(NUM_RELATIONS):
            forth = dict(rules.of(relation))
            turned = {
                tuple((r + NUM_RELATIONS) % (2 * NUM_RELATIONS) for r in reversed(body)): value
                for body, value in rules.of(back(relation))
            }
            assert forth == turned

    def test_the_most_confident_are_kept(
        self, facts: Triples, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        everything = sorted(confidence for _, confidence in mined(facts).of(CITIZEN_OF))
        assert len(everything) > 1
        monkeypatch.setattr(mining, "MAX_KEPT", 1)
        assert [confidence for _, confidence in mined(facts).of(CITIZEN_OF)] == everything[-1:]

    @pytest.mark.parametrize("longest", [1, 2, 3])
    def test_no_body_is_longer_than_asked_for(self, facts: Triples, longest: int) -> None:
        twice = np.concatenate([facts, [(p, LIVES_IN, town_of(p)) for p in PEOPLE]])
        rules = mined(twice, longest)
        lengths = {len(body) for r in range(2 * NUM_RELATIONS) for body, _ in rules.of(r)}
        assert lengths == set(range(1, longest + 1))

    def test_a_fact_does_not_explain_itself(self) -> None:
        """One relation, no two facts of which share an entity: nothing follows from anything."""
        alone = np.array([(2 * i, NEXT_TO, 2 * i + 1) for i in range(30)])
        assert len(mined(alone).heads) == 0

    def test_a_symmetric_relation(self) -> None:
        pairs = [(2 * i, NEXT_TO, 2 * i + 1) for i in range(30)]
        both = np.array(pairs + [(t, r, h) for h, r, t in pairs])
        assert dict(mined(both).of(NEXT_TO))[(back(NEXT_TO),)] == pytest.approx(60 / 65)

    def test_three_facts_in_a_row(self) -> None:
        """Of fifteen chains of three facts, each with one fact that joins its ends."""
        rows = [
            fact
            for i in range(15)
            for fact in (
                (5 * i, BORN_IN, 5 * i + 1),
                (5 * i + 1, LIES_IN, 5 * i + 2),
                (5 * i + 2, NEXT_TO, 5 * i + 3),
                (5 * i, CITIZEN_OF, 5 * i + 3),
            )
        ]
        found = dict(mined(np.array(rows)).of(CITIZEN_OF))
        assert found == {(BORN_IN, LIES_IN, NEXT_TO): pytest.approx(15 / 20)}

    def test_what_is_sampled_is_scaled(
        self, facts: Triples, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exact = dict(mined(facts).of(CITIZEN_OF))[BORN_IN, LIES_IN]
        for limit in ("MAX_FACTS", "MAX_STARTS", "MAX_NEIGHBOURS"):
            monkeypatch.setattr(mining, limit, 20)
        assert dict(mined(facts).of(CITIZEN_OF))[BORN_IN, LIES_IN] == pytest.approx(exact, rel=0.2)

    def test_what_is_not_kept_in_memory_is_made_again(
        self, facts: Triples, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = mined(facts)
        made: list[int] = []
        build = walks._matrix

        def counted(edges: Triples, num_entities: int, relation: int) -> sparse.csr_matrix:
            made.append(relation)
            return build(edges, num_entities, relation)

        monkeypatch.setattr(walks, "_matrix", counted)
        mined(facts)
        assert len(made) == len(set(made)), "all of a small graph's are kept"
        made.clear()
        monkeypatch.setattr(walks, "POINTERS_KEPT", 1)
        for one, two in zip(vars(mined(facts)).values(), vars(wanted).values(), strict=True):
            np.testing.assert_array_equal(one, two)
        assert len(made) > len(set(made))

    def test_repeats_and_does_not_mind_order_and_duplicates(self, facts: Triples) -> None:
        shuffled = np.random.default_rng(1).permutation(np.concatenate([facts, facts[:9]]))
        for one, two in zip(
            vars(mined(facts)).values(), vars(mined(shuffled)).values(), strict=True
        ):
            np.testing.assert_array_equal(one, two)

    def test_nothing_to_mine(self) -> None:
        empty = np.zeros((0, 3), dtype=np.int64)
        rules = mined(empty)
        assert rules.bodies.shape == (0, 3)
        assert list(rules.of(0)) == []


@pytest.fixture(scope="module")
def block(facts: Triples) -> RuleBlock:
    nothing = np.zeros((0, 3), dtype=np.int64)
    return RuleBlock.mined(as_graph(facts, nothing, nothing), 3, CPU)


def plain_scores(block: RuleBlock, head: int, relation: int) -> list[float]:
    """The logarithm of the largest confidence, for every answer by itself."""
    best = np.zeros(block.num_entities)
    triples = block.edges[block.edges[:, 1] < NUM_RELATIONS]
    for body, confidence in block.rules.of(relation):
        for x, y in plain_pairs(triples, body):
            if x == head:
                best[y] = max(best[y], confidence)
    return np.log1p(best / UNFOUNDED).tolist()


class TestScores:
    def test_are_those_of_the_most_confident_rule(self, block: RuleBlock) -> None:
        asked = [(PEOPLE[1], CITIZEN_OF), (STATES[0], back(CITIZEN_OF)), (TOWNS[3], LIES_IN)]
        asked += [(PEOPLE[4], CITIZEN_OF), (STATES[1], NEXT_TO)]
        heads, relations = torch.tensor(asked).unbind(1)
        wanted = [plain_scores(block, *question) for question in asked]
        torch.testing.assert_close(block.scores(heads, relations), torch.tensor(wanted))
        assert max(wanted[0]) > 0
        assert max(wanted[-1]) == 0, "no rule tells who is next to whom"

    @pytest.mark.parametrize("few_entities", [0, PEOPLE.stop])
    @pytest.mark.parametrize("numbers_kept", [0, 1000])
    def test_are_the_same_at_every_call(
        self,
        block: RuleBlock,
        few_entities: int,
        numbers_kept: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whether questions were scored before, all at once, or in another order."""
        monkeypatch.setattr(rule_scores, "FEW_ENTITIES", few_entities)
        monkeypatch.setattr(rule_scores, "NUMBERS_KEPT", numbers_kept)
        fresh = replace(block)
        entities = torch.tensor([PEOPLE[4], PEOPLE[1], PEOPLE[4], STATES[0], PEOPLE[7]])
        for some in (entities[:2], entities, entities.flip(0)):
            for relation in (CITIZEN_OF, back(CITIZEN_OF)):
                found = fresh.scores(some, torch.full_like(some, relation))
                wanted = [plain_scores(block, it, relation) for it in some.tolist()]
                torch.testing.assert_close(found, torch.tensor(wanted))
        assert found.any()

    def test_what_is_not_told_is_answered(self, block: RuleBlock, facts: Triples) -> None:
        """People of whom no state is told, and whom the others' rule puts where they belong."""
        untold = [person for person in PEOPLE if person % 3 == 0]
        scores = block.scores(torch.tensor(untold), torch.full((len(untold),), CITIZEN_OF))
        assert scores.argmax(1).tolist() == [state_of(town_of(person)) for person in untold]

    def test_candidates_are_scored_as_all_are(self, block: RuleBlock, facts: Triples) -> None:
        questions = torch.from_numpy(with_inverses(facts, NUM_RELATIONS))
        nothing = np.zeros((0, 3), dtype=np.int64)
        known = known_answers(as_graph(facts, nothing, nothing), CPU)
        sample = CandidateSample.draw(questions, known, block.num_entities, seed=1)
        heads, relations, tails = sample.questions.unbind(1)
        everything = block.scores(heads, relations)
        found = block.candidate_scores(sample)
        torch.testing.assert_close(found[:, 0], everything.gather(1, tails[:, None])[:, 0])
        torch.testing.assert_close(found[:, 1:], everything[:, sample.candidates])


def test_rules_that_say_nothing_have_no_weight(facts: Triples) -> None:
    """Or rules that are mined anew of more triples would be shouted."""
    nothing = np.zeros((0, 3), dtype=np.int64)
    graph = as_graph(np.array([(0, NEXT_TO, 1)]), facts, nothing)
    questions = torch.from_numpy(with_inverses(facts, NUM_RELATIONS))
    silent = RuleBlock.mined(graph, 3, CPU)
    assert not fit_block_weights([silent], questions, known_answers(graph, CPU)).any()


class TestBestRules:
    def test_of_every_answer(self, block: RuleBlock) -> None:
        """Asked of several entities in turn, each several times."""
        heads = torch.tensor([PEOPLE[4], PEOPLE[1], TOWNS[0]]).repeat(block.num_entities)
        answers = torch.arange(block.num_entities).repeat_interleave(3)
        best = block.best_rules(heads, CITIZEN_OF, answers)
        scores = {it: plain_scores(block, it, CITIZEN_OF) for it in set(heads.tolist())}
        triples = block.edges[block.edges[:, 1] < NUM_RELATIONS]
        num_led_to = 0
        for head, answer, rule in zip(heads.tolist(), answers.tolist(), best, strict=True):
            assert (rule is None) == (scores[head][answer] == 0)
            if rule is not None:
                assert np.log1p(rule[1] / UNFOUNDED) == pytest.approx(scores[head][answer])
                assert (head, answer) in plain_pairs(triples, rule[0])
                num_led_to += 1
        assert num_led_to == 2

    def test_where_nothing_is_mined(self, block: RuleBlock) -> None:
        one = torch.zeros(1, dtype=torch.long)
        assert block.best_rules(one, NEXT_TO, one) == [None]


@pytest.fixture(scope="module")
def graph(facts: Triples) -> Graph:
    """The facts as train; what is not told of the state of every third person as valid and test."""
    untold = np.array(
        [(person, CITIZEN_OF, state_of(town_of(person))) for person in PEOPLE if person % 3 == 0]
    )
    return as_graph(facts, untold[::2], untold[1::2])


RULED = {"structure": True, "context": False, "dim": 4}


def run(graph: Graph, folder: Path, **changes: object) -> Path:
    train(graph, {}, model_config(**{**RULED, "rule_length": 3, **changes}), train_config(), folder)
    return folder


@pytest.fixture(scope="module")
def ruled(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(graph, tmp_path_factory.mktemp("rules") / "ruled")


class TestTraining:
    def test_rules_answer_what_four_epochs_do_not(
        self, graph: Graph, ruled: Path, tmp_path: Path
    ) -> None:
        without = run(graph, tmp_path, rule_length=0)
        with_rules, alone = (evaluate_run(it)["test"]["mrr"] for it in (ruled, without))
        assert with_rules > alone + 0.2

    def test_nothing_that_is_learned_depends_on_them(
        self, graph: Graph, ruled: Path, tmp_path: Path
    ) -> None:
        without = run(graph, tmp_path, rule_length=0)
        one, two = (load_file(RunFolder(folder).weights) for folder in (ruled, without))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)

    def test_valid_and_test_are_not_mined(self, graph: Graph, ruled: Path, tmp_path: Path) -> None:
        other = replace(graph, valid=graph.valid[::-1][:3], test=graph.test[:2])
        one, two = (
            load_file(folder / "scoring.safetensors") for folder in (ruled, run(other, tmp_path))
        )
        for part in ("heads", "bodies", "confidences", "edges"):
            assert torch.equal(one[f"{RULES}.{part}"], two[f"{RULES}.{part}"])

    def test_without_structure_there_are_none(self, world: World, tmp_path: Path) -> None:
        config = model_config(structure=False, rule_length=3)
        train(world.graph, world.tables(), config, train_config(epochs=1), tmp_path)
        assert RunFolder(tmp_path).read_scoring().rules is None

    def test_a_file_read_back_answers_the_same(self, graph: Graph, ruled: Path) -> None:
        scoring = RunFolder(ruled).read_scoring()
        assert scoring.rules is not None
        fresh = RuleBlock.mined(graph, 3, CPU)
        for relation in (CITIZEN_OF, back(CITIZEN_OF)):
            heads = torch.arange(graph.num_entities)
            asked = torch.full_like(heads, relation)
            assert torch.equal(scoring.rules.scores(heads, asked), fresh.scores(heads, asked))

    def test_an_answer_says_how_much_was_by_rules(self, graph: Graph, ruled: Path) -> None:
        person = graph.test[0, 0]
        (best,) = Predictor(ruled).answers(head=f"e{person}", relation=f"r{CITIZEN_OF}", k=1)
        assert best.entity == f"e{state_of(town_of(person))}"
        assert best.modality_weights[RULES] > 0.5
        assert sum(best.modality_weights.values()) == pytest.approx(1)
        assert best.rule is not None
        assert best.rule.body == (f"r{BORN_IN}", f"r{LIES_IN}")
        asked = {"tail": best.entity, "relation": f"r{CITIZEN_OF}", "k": graph.num_entities}
        (back_again,) = (
            it for it in Predictor(ruled).answers(**asked) if it.entity == f"e{person}"
        )
        assert back_again.rule is not None
        assert back_again.rule.body == (f"inverse of r{LIES_IN}", f"inverse of r{BORN_IN}")
        assert back_again.rule.confidence == best.rule.confidence

    def test_an_answer_names_the_rule(self, graph: Graph, ruled: Path) -> None:
        """Of whom another state is told than of the others who were born in the same town."""
        predictor, person = Predictor(ruled), 50
        assert state_of(town_of(person)) != STATES[0]
        answers = predictor.predict(
            head=f"e{person}", relation=f"r{CITIZEN_OF}", k=graph.num_entities
        )
        found = answers.set_index("entity")
        right = found.loc[f"e{state_of(town_of(person))}"]
        assert right["contradicts"], "as a person is told to be citizen of one state"
        assert right["rule"] == f"r{BORN_IN}, inverse of r{BORN_IN}, r{CITIZEN_OF}"
        assert 0 < right["rule_confidence"] < 1
        assert found["rule"].isna().any()
        assert (found["rule"].isna() == found["rule_confidence"].isna()).all()

    def test_a_run_without_rules_names_none(self, graph: Graph, tmp_path: Path) -> None:
        answers = Predictor(run(graph, tmp_path, rule_length=0)).answers(
            head=f"e{PEOPLE[0]}", relation=f"r{CITIZEN_OF}"
        )
        assert all(answer.rule is None for answer in answers)

    def test_answer_questions_about_an_entity_that_arrived_later(
        self, graph: Graph, ruled: Path, tmp_path: Path
    ) -> None:
        """Known entities reach each other as before, and some the new one."""
        size, town = graph.num_entities, TOWNS[7]
        later = replace(
            graph,
            entities=(*graph.entities, "late"),
            names=(*graph.names, "late"),
            train=np.concatenate([graph.train, [(size, BORN_IN, town)]]),
        )
        config = model_config(**{**RULED, "rule_length": 3})
        place(ruled, arrivals(graph, later), {}, config, train_config(), tmp_path)
        (best,) = Predictor(tmp_path).answers(head="late", relation=f"r{CITIZEN_OF}", k=1)
        assert best.entity == f"e{state_of(town)}"
        before, after = (RunFolder(it).read_scoring().rules for it in (ruled, tmp_path))
        assert before is not None
        assert after is not None
        heads = torch.arange(size)
        for relation in range(2 * NUM_RELATIONS):
            asked = torch.full_like(heads, relation)
            scores = after.scores(heads, asked)
            assert torch.equal(scores[:, :size], before.scores(heads, asked))
