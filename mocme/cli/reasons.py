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


def print_reasons(relation: str, asker: str, answers: Iterable["Answer"], media: Media) -> None:
    """Print what spoke for answers.

    Args:
        relation: What was asked for.
        asker: Id of the entity that it was asked of.
        answers: The answers.
        media: Those of all these entities.
    """
    print_line(f"asked of {asker}")
    _print_media(media[asker])
    for number, answer in enumerate(answers, start=1):
        print_line(f"{number}. {answer.name}")
        print_line(f"   weights: {weights(answer.modality_weights)}")
        for fact in answer.nearest_facts:
            likeness = f"({fact.similarity:.2f})"
            print_line(f"   like: {fact.head_name} {relation} {fact.tail_name} {likeness}")
        if answer.rule is not None:
            print_line(f"   rule: {answer.rule} ({answer.rule.confidence:.2f})")
        for name, of_experts in answer.expert_weights.items():
            numbered = {f"expert {number}": it for number, it in enumerate(of_experts, start=1)}
            print_line(f"   of {name}: {weights(numbered)}")
        _print_media(media[answer.entity])


def _print_media(media: Mapping[str, Sequence[str]]) -> None:
    for kind, found in media.items():
        for what in found:
            print_line(f"   {kind}: {what}")
