"""How figures are drawn: alike on every machine."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast


@contextmanager
def plain_style(style: Mapping[str, Any]) -> Iterator[None]:
    """Draw by matplotlib's own defaults and a style, whatever a user's `matplotlibrc` says.

    Args:
        style: Parameters of matplotlib, laid on its defaults.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of homes it cannot write
    from matplotlib import rc_context, rcdefaults  # takes a while

    with rc_context():
        rcdefaults()
        with rc_context(cast(Any, style)):  # whose keys it has as literals
            yield
