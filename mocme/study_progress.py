"""How far a study of many trainings has come, and how long the rest will take."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from threading import Lock

_SECONDS_IN_WORDS = 100  # up to which seconds are said to be seconds


class StudyProgress:
    """Counts the runs of a study and estimates the time left, from those that are done.

    A run is expected to take as long as the others of its kind did, or, where none is done, as all
    did. The methods may be called from several threads.

    Args:
        num_at_once: Trainings that run side by side.
        clock: Returns seconds.
    """

    def __init__(self, num_at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._num_at_once, self._clock = num_at_once, clock
        self._start = clock()
        self._lock = Lock()
        self._expected: Counter[str] = Counter()
        self._running: dict[int, tuple[str, float]] = {}
        self._num_begun = 0
        self._num_done = 0
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def expect(self, kinds: Iterable[str]) -> None:
        """Add runs that are to come, by their kind: the variant that they train."""
        with self._lock:
            self._expected.update(kinds)

    def begin(self, kind: str) -> int:
        """Note that a run of a kind has begun; return its number."""
        with self._lock:
            self._num_begun += 1
            self._running[self._num_begun] = (kind, self._clock())
            return self._num_begun

    def end(self, number: int) -> float:
        """Note that a run has ended; return the seconds that it took."""
        with self._lock:
            kind, begun = self._running.pop(number)
            seconds = self._clock() - begun
            self._count(kind, seconds)
            return seconds

    def drop(self, number: int) -> None:
        """Note that a run that has begun turns out not to be one of those expected."""
        with self._lock:
            del self._running[number]

    def found(self, kind: str, seconds: float | None = None) -> None:
        """Note that a run of a kind was done before, and how long that took if it is known."""
        with self._lock:
            self._count(kind, seconds)

    def _count(self, kind: str, seconds: float | None) -> None:
        self._num_done += 1
        self._expected[kind] -= 1
        if seconds is not None:
            self._seconds[kind].append(seconds)

    @property
    def num_done(self) -> int:
        """Runs that are done."""
        return self._num_done

    @property
    def total(self) -> int:
        """Runs in all."""
        with self._lock:
            return self._num_done + self._num_left()

    def seconds_left(self) -> float | None:
        """Return an estimate of the seconds until all is done; None: no run is done yet."""
        with self._lock:
            if self._num_left() == 0:
                return 0.0
            if not any(self._seconds.values()):
                return None
            now = self._clock()
            running = [
                max(0.0, self._typical(kind) - (now - begun))
                for kind, begun in self._running.values()
            ]
            waiting = self._expected - Counter(kind for kind, _ in self._running.values())
            total = sum(running) + sum(self._typical(it) * n for it, n in waiting.items())
            return max([total / self._num_at_once, *running])

    def describe(self) -> str:
        """Return how far it has come, as `3 of 12 done, 2 min so far, about 6 min left`."""
        left = self.seconds_left()
        so_far = in_words(self._clock() - self._start)
        rest = "" if left is None else f", about {in_words(left)} left"
        return f"{self.num_done} of {self.total} done, {so_far} so far{rest}"

    def _num_left(self) -> int:
        return sum((+self._expected).values())

    def _typical(self, kind: str) -> float:
        """Return the mean seconds of a kind's runs, or of all."""
        of_kind = self._seconds.get(kind) or [it for all_ in self._seconds.values() for it in all_]
        return sum(of_kind) / len(of_kind)


def in_words(seconds: float) -> str:
    """Return a duration as `45 s`, `12 min` or `2 h 5 min`."""
    if seconds < _SECONDS_IN_WORDS:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
