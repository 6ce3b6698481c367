"""Schedules as a user writes them, checked before they reach a server."""

from prefect._vendor.croniter.croniter import CroniterBadDateError, croniter
from prefect.client.schemas.schedules import CronSchedule
from pydantic import ValidationError

from flows.configs.config_source import ConfigError

_NUM_FIELDS = 5


def check_cron(option: str, cron: str) -> None:
    """Refuse a schedule that Prefect does not take, that never comes, or has a field for seconds.

    Raises:
        ConfigError: If it is such a one.
    """
    try:
        CronSchedule(cron=cron)
        # It fails where there is none.
        croniter(cron).get_next()  # type: ignore[no-untyped-call]
        is_usual = cron.startswith("@") or len(cron.split()) == _NUM_FIELDS
    except (ValidationError, CroniterBadDateError):
        is_usual = False
    if not is_usual:
        raise ConfigError(
            f"{option}: found {cron!r}; allowed: five fields that come true sometimes: minute, "
            "hour, day of the month, month, day of the week; such as '0 2 * * *'"
        )
