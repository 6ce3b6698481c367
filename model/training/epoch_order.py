"""In which order an epoch asks its questions, the answers to one side by side.

Questions that stand side by side are scored together, once (`model/negatives/batch_loss.py`): the
product with all entities, which is most of a step, is shared by a question's answers.

Shapes: N triples with inverses.
"""

import torch
from torch import Tensor


class EpochOrder:
    """Draws orders.

    Args:
        triples: With inverses, on the CPU; h and r ask for t. Shape: (N, 3).
        answers_at_once: So many answers to a question come together at most; the others of a
            question with more of them have turns of their own.
    """

    def __init__(self, triples: Tensor, answers_at_once: int) -> None:
        heads, relations, _ = triples.unbind(1)
        questions = heads * (relations.max() + 1) + relations
        self._question = questions.unique(return_inverse=True)[1]
        count = self._question.bincount()
        self._first = count.cumsum(0) - count
        self._answers_at_once = answers_at_once

    def draw(self, generator: torch.Generator) -> Tensor:
        """Shuffle the triples: answers within their question, and the turns of all questions.

        Args:
            generator: Source of chance, on the CPU.

        Returns:
            Indices of all triples. Shape: (N,).
        """
        shuffled = torch.randperm(len(self._question), generator=generator)
        by_question = shuffled[self._question[shuffled].argsort(stable=True)]
        within = torch.arange(len(shuffled)) - self._first[self._question[by_question]]
        turn = (within % self._answers_at_once == 0).cumsum(0) - 1
        place = torch.randperm(int(turn[-1]) + 1, generator=generator)[turn]
        return by_question[place.argsort(stable=True)]
