"""All entities as the negatives of a batch, prepared on the CPU for a GPU that waits for nothing.

How many questions a batch holds, and how many answers to them are known, only the data tells. A GPU
would have to be waited for to learn that from it, for every block of every step; the CPU knows.

Shapes: B triples, Q different questions among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from model.device import sent_to
from model.inputs import KnownTails


@dataclass(frozen=True, slots=True)
class AllEntities:
    """Each question of a batch once, its answers, and who else is known to be one.

    Attributes:
        questions: Heads and relations. Shape: (Q, 2).
        answers: Rows in `questions`, in order, and tails of the batch's triples. Shape: (2, B).
        known: Rows in `questions`, in order, and tails of all known triples. Shape: (2, n).
        first_answer: Where each question's answers begin, and where the last one's end. (Q + 1,).
        first_known: The same of `known`.
    """

    questions: Tensor
    answers: Tensor
    known: Tensor
    first_answer: Sequence[int]
    first_known: Sequence[int]

    @classmethod
    def of(cls, triples: Tensor, known: KnownTails, device: torch.device) -> Self:
        """Prepare a batch.

        Args:
            triples: On the CPU, answers to one question side by side. Shape: (B, 3).
            known: On the CPU, too; the triples are among them.
            device: Where the scores will be.
        """
        questions, row = torch.unique_consecutive(triples[:, :2], dim=0, return_inverse=True)
        answers = torch.stack([row, triples[:, 2]])
        found = torch.stack(known.lookup(*questions.unbind(1)))
        return cls(
            sent_to(device, questions),
            sent_to(device, answers),
            sent_to(device, found),
            _starts(row, len(questions)),
            _starts(found[0], len(questions)),
        )

    def of_chunk(self, place: slice) -> tuple[Tensor, Tensor]:
        """Return the answers and the known triples of some questions, rows counted from them."""
        return (
            _rows_from(self.answers, self.first_answer, place),
            _rows_from(self.known, self.first_known, place),
        )


def _starts(row: Tensor, num_rows: int) -> list[int]:
    starts: list[int] = torch.searchsorted(row, torch.arange(num_rows + 1)).tolist()
    return starts


def _rows_from(pairs: Tensor, first: Sequence[int], place: slice) -> Tensor:
    rows, tails = pairs[:, first[place.start] : first[place.stop]]
    return torch.stack([rows - place.start, tails])
