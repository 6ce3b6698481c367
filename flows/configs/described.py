"""Every key of a config: what it says, its default and what it allows, from the classes alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from extractors.registry import load_extractor_class, names
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.schema_words import allowed_in_words

MODALITIES = "modalities"
ANY_NAME = "NAME"
"""What stands in a key for a name of the user's: of a modality, or of a relation."""


@dataclass(frozen=True)
class ConfigKey:
    """A key of a config.

    Attributes:
        key: Its place, as `train.epochs`; `NAME` stands for the name of an entry.
        description: A sentence on what it means.
        allowed: Its type, bounds or choices, in words.
        default: What it is if it is not given, as a JSON value.
        is_required: Whether it must be given; there is no default then.
        extractor: The extractor whose own option it is; None: it is of every config.
    """

    key: str
    description: str
    allowed: str
    default: Any
    is_required: bool
    extractor: str | None = None

    @property
    def section(self) -> str:
        """The part of the config that the key is in, as `train.negatives`."""
        return self.key.rpartition(".")[0]


def config_keys() -> list[ConfigKey]:
    """Return every key of a config that holds a value, in the order of the classes."""
    return list(_keys_of(PipelineConfig, ""))


def option_keys(extractor: str) -> list[ConfigKey]:
    """Return the keys that an extractor adds to an entry of `modalities`."""
    options = load_extractor_class(extractor).Config
    return list(_keys_of(options, f"{MODALITIES}.{ANY_NAME}", extractor))


def section_descriptions() -> dict[str, str]:
    """Return what each section says, by its key, as `train.negatives`."""
    return dict(_sections_of(PipelineConfig, ""))


def description_of(info: FieldInfo) -> str:
    """Return the sentence on a field; empty if it has none."""
    return str(_schema_of(info).get("description", ""))


def _keys_of(
    section: type[BaseModel], prefix: str, extractor: str | None = None
) -> Iterator[ConfigKey]:
    for name, info in section.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        if (entry := entry_in(info)) is not None:
            yield from _keys_of(entry, f"{key}.{ANY_NAME}")
            for other in names() if key == MODALITIES else ():
                yield from option_keys(other)
        elif (inner := section_in(info)) is not None:
            yield from _keys_of(inner, key, extractor)
        else:
            yield _described(key, info, extractor)


def _sections_of(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, info in section.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        if entry_in(info) is not None:
            yield key, description_of(info)
        elif (inner := section_in(info)) is not None:
            yield key, description_of(info)
            yield from _sections_of(inner, key)


def holds_entries(section: str) -> bool:
    """Whether the keys of a section are names of the user's, as those of `modalities` are."""
    info = PipelineConfig.model_fields.get(section)
    return info is not None and entry_in(info) is not None


def section_in(info: FieldInfo) -> type[BaseModel] | None:
    """Return the class of a field that is a section; None: it holds a value."""
    found = info.annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def entry_in(info: FieldInfo) -> type[BaseModel] | None:
    """Return the class of the entries of a field that holds them by name; None: it does not."""
    found = get_args(info.annotation) if get_origin(info.annotation) is dict else ()
    entry = found[1] if found else None
    return entry if isinstance(entry, type) and issubclass(entry, BaseModel) else None


def _described(key: str, info: FieldInfo, extractor: str | None) -> ConfigKey:
    schema = _schema_of(info)
    return ConfigKey(
        key,
        str(schema.get("description", "")),
        allowed_in_words(schema),
        schema.get("default"),
        info.is_required(),
        extractor,
    )


def _schema_of(info: FieldInfo) -> dict[str, Any]:
    described: Any = Annotated[info.annotation, info]
    adapter: TypeAdapter[Any] = TypeAdapter(described)
    return adapter.json_schema()
