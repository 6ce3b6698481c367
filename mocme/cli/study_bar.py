"""Shows how far a study has come: a bar on a terminal, else lines in a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

from flows.terminal.output import STDERR, print_note
from mocme.study_progress import StudyProgress


class _Description(ProgressColumn):
    """What there is to say of a study, anew each time that the bar is drawn.

    Args:
        progress: Of the study.
    """

    def __init__(self, progress: StudyProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        """Return the text beside the bar."""
        return Text(self._progress.describe())


class _Bar(Progress):
    """A bar as long as the share of runs that are done.

    Args:
        progress: Of the study.
    """

    def __init__(self, progress: StudyProgress) -> None:
        self._study = progress
        super().__init__(
            BarColumn(),
            _Description(progress),
            console=STDERR,
            transient=True,
            refresh_per_second=2,
        )
        self._task = self.add_task("", total=None)

    def tell(self, line: str) -> None:
        """Print a line above the bar, and draw the bar anew."""
        print_note(line)
        self.update(self._task, completed=self._study.num_done, total=self._study.total or None)


@contextmanager
def showing(progress: StudyProgress) -> Iterator[Callable[[str], None]]:
    """Show a study's progress; yield what prints a line about a run of it.

    Args:
        progress: Of the study.
    """
    if STDERR.is_terminal:
        with _Bar(progress) as bar:
            yield bar.tell
    else:
        yield lambda line: print_note(f"{line}; {progress.describe()}")
