"""What the config's classes say of their fields: bounds, choices, and where to search.

The classes of the sections `model` and `train` are the only place where any of this is declared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from flows.configs.pipeline_config import PipelineConfig
from flows.configs.schema_words import bounds_in_words
from model.search_range import SearchRange

Kind = Literal["integer", "number", "choice"]

_SECTIONS = ("model", "train")


@dataclass(frozen=True)
class TunableField:
    """A field of the config that holds a number or one of a few values.

    Attributes:
        key: Its place in the config, as `train.learning_rate`.
        kind: What it holds.
        range: Where to search for a number unless told; None: that has to be told.
    """

    key: str
    kind: Kind
    range: SearchRange | None
    _adapter: TypeAdapter[Any]

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values that a choice is one of."""
        return (False, True) if self._schema["type"] == "boolean" else tuple(self._schema["enum"])

    @property
    def step(self) -> int:
        """What an integer is a multiple of."""
        return int(self._schema.get("multipleOf", 1))

    @property
    def bounds(self) -> str:
        """What the class allows, in words."""
        kind = "whole numbers" if self.kind == "integer" else "numbers"
        return ", ".join([kind, *bounds_in_words(self._schema)])

    def holds(self, value: float) -> bool:
        """Whether the class takes a number."""
        try:
            self._adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    @property
    def _schema(self) -> Mapping[str, Any]:
        return self._adapter.json_schema()


def tunable_fields() -> dict[str, TunableField]:
    """Return the fields that can be searched, by key."""
    sections = {name: PipelineConfig.model_fields[name].annotation for name in _SECTIONS}
    return {
        field.key: field
        for name, section in sections.items()
        if isinstance(section, type)
        for field in _fields_of(section, name)
    }


def value_of(config: PipelineConfig, key: str) -> Any:
    """Return what a config holds for a key."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _fields_of(section: type[BaseModel], prefix: str) -> Iterator[TunableField]:
    for name, info in section.model_fields.items():
        key = f"{prefix}.{name}"
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _fields_of(info.annotation, key)
        elif (field := _as_tunable(key, info)) is not None:
            yield field


def _as_tunable(key: str, info: FieldInfo) -> TunableField | None:
    described: Any = Annotated[info.annotation, info]
    adapter: TypeAdapter[Any] = TypeAdapter(described)
    schema = adapter.json_schema()
    kinds: dict[str, Kind] = {"integer": "integer", "number": "number", "boolean": "choice"}
    kind = "choice" if "enum" in schema else kinds.get(schema.get("type", ""))
    if kind is None:
        return None
    searched = next((it for it in info.metadata if isinstance(it, SearchRange)), None)
    return TunableField(key, kind, searched, adapter)
