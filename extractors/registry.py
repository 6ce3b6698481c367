"""The extractors that exist, found by their files' names.

Every module `<modality>_<backbone>.py` of this folder, and `numeric.py` and `imported.py`, hold
one extractor of the same name each; no other module of the folder has an underscore in its name.
Listing the names imports none of them.
"""

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from extractors.base import Extractor, ExtractorConfig, Runtime
from storage.errors import MocmeError
from storage.words.suggestion import did_you_mean

AnyExtractor = Extractor[Any, Any]

_FOLDER = Path(__file__).parent
_WITHOUT_BACKBONE = ("imported", "numeric")


class ExtractorChoiceError(MocmeError):
    """An extractor that does not exist, or a config that it does not take."""


def names() -> list[str]:
    """Return the names of all extractors, sorted."""
    modules = (path.stem for path in _FOLDER.glob("[a-z]*.py"))
    return sorted(name for name in modules if "_" in name or name in _WITHOUT_BACKBONE)


def load_extractor_class(name: str) -> type[AnyExtractor]:
    """Import an extractor.

    Raises:
        ExtractorChoiceError: If there is none of that name.
        TypeError: If its module does not hold exactly one extractor of the module's name.
    """
    if name not in names():
        raise ExtractorChoiceError(
            f"extractor: found '{name}'{did_you_mean(name, names())}; allowed: {', '.join(names())}"
        )
    module = importlib.import_module(f"extractors.{name}")
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Extractor) and member.__module__ == module.__name__
    ]
    if [getattr(found, "name", None) for found in classes] != [name]:
        raise TypeError(f"{module.__file__} must define one Extractor subclass, named '{name}'")
    return classes[0]


def build_extractor(name: str, config: Mapping[str, object], runtime: Runtime) -> AnyExtractor:
    """Build an extractor from what a config entry holds besides `extractor` and `field`.

    Raises:
        ExtractorChoiceError: If there is no such extractor, or it refuses the config.
    """
    extractor_class = load_extractor_class(name)
    try:
        return extractor_class(extractor_class.Config.model_validate(config), runtime)
    except ValidationError as error:
        problems = "; ".join(
            _explain(problem, extractor_class.Config) for problem in error.errors()
        )
        raise ExtractorChoiceError(f"extractor '{name}': {problems}") from error


def _explain(problem: Mapping[str, Any], config: type[ExtractorConfig]) -> str:
    """Say what one validation error found, where, and what is allowed."""
    key = ".".join(str(part) for part in problem["loc"])
    allowed = list(config.model_fields)
    if problem["type"] == "extra_forbidden":
        return f"found the key '{key}'{did_you_mean(key, allowed)}; allowed: {', '.join(allowed)}"
    if problem["type"] == "missing":
        return f"the key '{key}' is required"
    return f"'{key}': found {problem['input']!r}; allowed: {problem['msg']}"
