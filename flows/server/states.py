"""Stage outcomes as Prefect shows them: a skipped stage is a cached task run, with its reason."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.stages.keys import Stage
from flows.stages.run_record import RunRecord
from flows.stages.stage import Outcome, Status, since, start_clock

ResultT = TypeVar("ResultT")

_STATE_NAMES: Mapping[Status, str] = {"ran": "Completed", "skipped": "Cached"}


def as_state(name: str, outcome: Outcome, result: ResultT) -> State[ResultT]:
    """Log an outcome and wrap it in the state that the task run shall end in.

    Args:
        name: What ran, for the log.
        outcome: What became of it.
        result: What the task returns.
    """
    get_run_logger().info("%s %s: %s", name, outcome.status, outcome.reason)
    return Completed(name=_STATE_NAMES[outcome.status], message=outcome.reason, data=result)


@contextmanager
def failure_recorded(record: RunRecord, stage: Stage) -> Iterator[None]:
    """Note in the record which stage it was that an error ended."""
    start = start_clock()
    try:
        yield
    except Exception as error:
        record.stages[stage] = Outcome("failed", str(error), since(start))
        raise
