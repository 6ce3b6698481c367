"""The one typed config: what the YAML file holds, and the parameter of every flow.

Paths are relative to the YAML file, or to the working directory if the config comes as an
object; they are absolute once validated.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from extractors.options import ExtractOptions
from extractors.registry import load_extractor_class, names
from flows.configs.errors import explain
from flows.configs.yaml_reader import ConfigError, read_yaml
from model.config import RESERVED_NAMES, ModelConfig, PredictConfig, TrainConfig
from storage.datasets.relation_types.statement import StatedRelationType
from storage.datasets.split import DEFAULT_SALT
from storage.words.suggestion import did_you_mean

_LONGEST_NAME, _LONGEST_PATH = 255, 4000  # bytes; Linux allows 255 and 4,095


def _folder_of(info: ValidationInfo) -> Path:
    """Folder that relative paths start from."""
    context: Mapping[str, Path] = info.context or {}
    return context["folder"] if "folder" in context else Path.cwd()


def _absolute(path: Path, info: ValidationInfo) -> Path:
    try:
        given = path.expanduser()
        absolute = given if given.is_absolute() else _folder_of(info) / given
        names = os.fsencode(os.path.normpath(absolute)).split(b"/")
    except (RuntimeError, UnicodeEncodeError, FileNotFoundError) as error:
        raise _bad_path(str(error)) from error
    if any(b"\0" in name or len(name) > _LONGEST_NAME for name in names):
        raise _bad_path(f"names of at most {_LONGEST_NAME} bytes without \\0")
    if sum(map(len, names)) + len(names) > _LONGEST_PATH:
        raise _bad_path(f"{_LONGEST_PATH} bytes at most")
    return Path(os.path.normpath(absolute))


def _bad_path(reason: str) -> PydanticCustomError:
    return PydanticCustomError("path", "a path that can be ({reason})", {"reason": reason})


def _known_extractor(name: str) -> str:
    if name not in names():
        raise PydanticCustomError(
            "unknown_extractor",
            "one of {allowed}{suggestion}",
            {"allowed": ", ".join(names()), "suggestion": did_you_mean(name, names())},
        )
    return name


def _not_reserved(name: str) -> str:
    if name in RESERVED_NAMES:
        raise PydanticCustomError(
            "reserved_modality",
            "a name other than {reserved}, which are the model's own",
            {"reserved": ", ".join(RESERVED_NAMES)},
        )
    return name


def _tuple_of_one(field: object) -> object:
    return (field,) if isinstance(field, str) else field


def _path_keys(extractor: object) -> list[str]:
    """Return those keys of an extractor's config that are paths."""
    if extractor not in names():
        return []
    fields = load_extractor_class(str(extractor)).Config.model_fields.items()
    return [key for key, info in fields if Path in (info.annotation, *get_args(info.annotation))]


ConfigPath = Annotated[Path, AfterValidator(_absolute)]
ExtractorName = Annotated[
    str, AfterValidator(_known_extractor), Field(json_schema_extra=lambda s: s.update(enum=names()))
]
FieldNames = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(min_length=1),
    BeforeValidator(_tuple_of_one, json_schema_input_type=str | list[str]),
]
ModalityName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$"), AfterValidator(_not_reserved)
]


RelationName = Annotated[str, Field(min_length=1)]


class ModalityConfig(BaseModel):
    """One entry of the config's `modalities`; keys not listed here are the extractor's own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    extractor: ExtractorName = Field(description="What turns an item into a vector.")
    field: FieldNames | None = Field(
        None,
        description="Field of an entity that holds the items, or several fields to join; null = "
        "the field of the entry's name, or that of the extractor if it has one of its own.",
    )
    max_items: int = Field(
        10, ge=1, le=1024, description="Most items of one entity that a training reads."
    )

    @property
    def options(self) -> dict[str, Any]:
        """The extractor's own config, as given."""
        return dict(self.model_extra or {})

    @property
    def whole(self) -> dict[str, Any]:
        """The entry as JSON values, what the extractor's config has by default included."""
        options = load_extractor_class(self.extractor).Config.model_validate(self.options)
        defaults = options.model_dump(mode="json", exclude=set(self.options))
        return {**self.model_dump(mode="json"), **defaults}

    @property
    def path_options(self) -> dict[str, str]:
        """Those of the extractor's options that name a file or a folder of this machine."""
        given = {key: self.options.get(key) for key in (*_path_keys(self.extractor), "model")}
        return {
            key: value
            for key, value in given.items()
            if isinstance(value, str) and Path(value).is_absolute()
        }

    @model_validator(mode="before")
    @classmethod
    def _resolve_paths(cls, entry: Any, info: ValidationInfo) -> Any:
        """Make options that are paths absolute; `model`, where it is a folder and no hub id."""
        if not isinstance(entry, dict):
            return entry
        resolved = {
            key: _absolute(Path(entry[key]), info)
            for key in (*_path_keys(entry.get("extractor")), "model")
            if isinstance(entry.get(key), str)
        }
        if "model" in resolved and not resolved["model"].is_dir():
            del resolved["model"]
        return {**entry, **{key: str(path) for key, path in resolved.items()}}

    @model_validator(mode="after")
    def _validate_options(self) -> "ModalityConfig":
        load_extractor_class(self.extractor).Config.model_validate(self.options)
        return self


class PipelineConfig(BaseModel):
    """Everything that a run is determined by."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    dataset: ConfigPath = Field(
        description="Folder of the dataset, or OpenKE folder; a relative path starts from the "
        "config's file."
    )
    store: ConfigPath = Field(
        Path("data/features"),
        description="Folder of the feature store; a relative path starts from the config's file.",
    )
    runs: ConfigPath = Field(
        Path("data/runs"),
        description="Folder of the training runs; a relative path starts from the config's file.",
    )
    split_salt: str = Field(
        DEFAULT_SALT,
        description="Any text, which decides with a triple's ids alone which split it goes to, "
        "where the dataset has triples.tsv and no splits of its own.",
    )
    modalities: dict[ModalityName, ModalityConfig] = Field(
        {},
        description="What to extract and learn from, by names of your choice; without any, the "
        "model learns from the triples alone.",
    )
    extract: ExtractOptions = Field(
        ExtractOptions(), description="How features are extracted from the items."
    )
    model: ModelConfig = Field(ModelConfig(), description="What the model consists of.")
    train: TrainConfig = Field(TrainConfig(), description="How the model is trained.")
    predict: PredictConfig = Field(
        PredictConfig(), description="Which missing triples the stage `predict` writes."
    )
    relation_types: dict[RelationName, StatedRelationType] = Field(
        {},
        description="What you know of relations, by their ids; what is not stated is learned from "
        "the facts, and `mocme relations CONFIG` shows it.",
    )

    @model_validator(mode="after")
    def _check_something_to_learn(self) -> "PipelineConfig":
        if not self.modalities and not self.model.structure:
            raise PydanticCustomError(
                "nothing_to_learn", "model.structure: true, or at least one entry in modalities"
            )
        return self

    @field_validator("model")
    @classmethod
    def _check_attended(cls, model: ModelConfig, info: ValidationInfo) -> ModelConfig:
        modalities = info.data.get("modalities", {})
        for name in model.attend:
            if name not in modalities:
                raise PydanticCustomError(
                    "unknown_modality",
                    "attend: names of modalities, {allowed}{suggestion}",
                    {
                        "allowed": ", ".join(modalities) or "of which there are none",
                        "suggestion": did_you_mean(name, modalities),
                    },
                )
        return model

    def fields_of(self, modality: str) -> tuple[str, ...]:
        """Fields of an entity that a modality reads."""
        entry = self.modalities[modality]
        return entry.field or load_extractor_class(entry.extractor).default_fields or (modality,)


def load_config(
    source: PipelineConfig | Path | str, overrides: Sequence[str] = ()
) -> PipelineConfig:
    """Return the config that a flow or a command was given.

    Args:
        source: A config, which is returned as it is, or the path of a YAML file.
        overrides: `a.b.c=value` each, for a file.

    Raises:
        ConfigError: If the file cannot be read or does not fit; one line for each problem.
    """
    if isinstance(source, PipelineConfig):
        return source
    file = read_yaml(Path(source), overrides)
    context = {"folder": file.folder}
    try:
        return PipelineConfig.model_validate(file.data, context=context)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, file, PipelineConfig))) from error
