"""The range in which tuning looks for a field's value, declared beside the field's bounds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchRange:
    """Where to look for a number: narrower than what the field's bounds allow.

    Attributes:
        low: Least value tried.
        high: Largest value tried.
        log: Whether each doubling is as likely as the next, which suits what is above 0 and spans
            orders of magnitude.
        by_default: Whether tuning varies the field without being asked to.
    """

    low: float
    high: float
    log: bool = False
    by_default: bool = False
