"""What there is to say of why an answer was given: facts like it, and media of its entities."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from extractors.thumbnail import Kind
from flows.stages.run_source import find_source
from flows.stages.staged_run import StagedRun
from flows.terminal.output import print_line, print_note
from mocme.listed_items import ListedItems
from mocme.tables import weights

if TYPE_CHECKING:
    from model.prediction.answers import Answer
    from model.prediction.wording import Wording

Media = Mapping[str, Mapping[str, Sequence[str]]]
"""By entity and kind: the beginning of its texts, its numbers, and the paths of its files."""


def find_media(folder: StagedRun, entities: Iterable[str]) -> Media:
    """Return what a run's entities show, tell and sound like.

    There is nothing, and a line on standard error says why, if the dataset is gone.
    """
    source = find_source(folder)
    media: dict[str, dict[str, list[str]]] = {entity: {} for entity in entities}
    if source.config is None or source.dataset is None:
        print_note(f"no media: {source.problem}")
        return media
    listed = ListedItems(source.config, source.dataset)
    for entity, text in listed.texts(list(media)):
        if text:
            media[entity]["text"] = [text]
    for entity, numbers in listed.numbers(list(media)):
        media[entity]["numbers"] = [numbers]
    for kind in get_args(Kind):
        for entity, files in listed.files(kind, list(media)).items():
            media[entity][kind] = [str(source.dataset.root / file.relative) for file in files]
    return media


def print_reasons(
    asked: str,
    answers: Iterable["Answer"],
    media: Media,
    wording: "Wording",
    *,
    whole_triples: bool = False,
) -> None:
    """Print what spoke for answers.

    Args:
        asked: Id of the entity that the question was about.
        answers: The answers.
        media: Those of all these entities.
        wording: What they are called.
        whole_triples: Whether answers are told as triples, for they are of several relations.
    """
    print_line(f"asked of {wording.entity(asked)}")
    _print_media(media[asked])
    for number, answer in enumerate(answers, start=1):
        triple = wording.fact(answer.head, answer.relation, answer.tail)
        print_line(f"{number}. {triple if whole_triples else wording.entity(answer.entity)}")
        print_line(f"   weights: {weights(answer.modality_weights)}")
        for fact in answer.nearest_facts:
            alike = wording.fact(fact.head, answer.relation, fact.tail)
            print_line(f"   like: {alike} ({fact.similarity:.2f})")
        if answer.rule is not None:
            print_line(f"   rule: {answer.rule.sentence or answer.rule}")
        for name, of_experts in answer.expert_weights.items():
            numbered = {f"expert {number}": it for number, it in enumerate(of_experts, start=1)}
            print_line(f"   of {name}: {weights(numbered)}")
        _print_media(media[answer.entity])


def _print_media(media: Mapping[str, Sequence[str]]) -> None:
    for kind, found in media.items():
        for what in found:
            print_line(f"   {kind}: {what}")
