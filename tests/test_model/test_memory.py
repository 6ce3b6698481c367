"""Freed memory is kept: more large blocks cost no new pages."""

import subprocess
import sys

import pytest

from model.memory import keep_freed_memory

CHILD = """
import resource, sys
import torch
from model.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.empty(2**22).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

new_pages()
print(new_pages())
"""


def new_pages(choice: str) -> int:
    """Count the pages asked for by ten blocks of 16 MiB, one after the other."""
    command = [sys.executable, "-c", CHILD, choice]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's C library can be told to")
def test_freed_blocks_are_used_again() -> None:
    assert new_pages("keep") * 10 < new_pages("give back")


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
