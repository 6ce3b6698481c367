"""Templates of pages: everything that comes from data passes their escaping."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mocme.reliability import Reliability
from mocme.report.table import as_text

if TYPE_CHECKING:
    from jinja2 import Environment

_ASSETS = "mocme.report"
_HIGHEST_NAMED = 0.999  # of probabilities


def asset(name: str) -> str:
    """Return the text of a file that comes with the package."""
    return (files(_ASSETS) / "assets" / name).read_text(encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: Name of the template's file.
        values: What it names.
    """
    return _environment().get_template(template).render(**values)


def probability_text(reliability: Reliability, probability: float) -> str:
    """Return three decimals, or one; what is not certain does not read as if it were."""
    shown = reliability.shown(probability)
    if isinstance(shown, str):
        return shown
    return f"{shown:.3f}" if shown < _HIGHEST_NAMED else f"> {_HIGHEST_NAMED}"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(asset),
    )
    environment.filters["cell"] = as_text
    return environment
