"""The keys of a config as text: in lines, as a page of the documentation, and as commented YAML."""

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

import yaml

from flows.configs.described import (
    ANY_NAME,
    MODALITIES,
    ConfigKey,
    config_keys,
    holds_entries,
    section_descriptions,
)
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_schema import ConfigDumper
from storage.words.visible import visible

REGENERATE = "mocme config --defaults --markdown > docs/config.md"

_WIDTH = 98  # columns of a comment
_INDENT = "  "
_OF_ENTRIES = f".{ANY_NAME}"


def default_lines() -> Iterator[str]:
    """Yield every key with its default, what it allows and its sentence, two lines each."""
    section: tuple[str, str | None] = ("", None)
    for key in config_keys():
        if (key.section, key.extractor) != section:
            section = (key.section, key.extractor)
            yield ""
            yield f"# {_heading(*section)}"
        yield f"{_label(key)} {_shown_default(key)}   [{key.allowed}]"
        yield from wrap(key.description, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def markdown_lines() -> Iterator[str]:
    """Yield the page of all keys, a table for each section."""
    yield from (
        "# Every key of a config",
        "",
        "`mocme config --defaults` prints this list, `mocme config CONFIG` a config of yours with",
        "all its values, `mocme config --schema` the JSON schema for an editor.",
        "",
        f"The page is made by `{REGENERATE}`.",
    )
    section: tuple[str, str | None] | None = None
    for key in config_keys():
        if (key.section, key.extractor) != section:
            section = (key.section, key.extractor)
            heading = f"`{section[0]}`" if section[0] else "The config"
            own = f", own options of `{key.extractor}`" if key.extractor else ""
            yield from ("", f"## {heading}{own}", "", _about(*section), "")
            yield from ("| Key | Default | Allowed | Meaning |", "|---|---|---|---|")
        name = key.key.rpartition(".")[2]
        default = "required" if key.is_required else f"`{_plain(key.default)}`"
        yield f"| `{name}` | {default} | {key.allowed} | {key.description} |"


def config_data(config: PipelineConfig) -> dict[str, Any]:
    """Return a config as JSON values, every option of every extractor with its value."""
    data = config.model_dump(mode="json")
    data[MODALITIES] = {name: entry.whole for name, entry in config.modalities.items()}
    return data


def yaml_lines(config: PipelineConfig) -> Iterator[str]:
    """Yield a config as YAML, above each key a comment with its sentence and what it allows."""
    comments = {(key.key, key.extractor): _comment(key) for key in config_keys()}
    yield from _section(config_data(config), "", comments, section_descriptions(), None)


def _section(
    data: Mapping[str, Any],
    prefix: str,
    comments: Mapping[tuple[str, str | None], str],
    sections: Mapping[str, str],
    extractor: str | None,
) -> Iterator[str]:
    """Yield the lines of a section, its indentation included."""
    indent = _INDENT * (prefix.count(".") + 1 if prefix else 0)
    for name, value in data.items():
        key = f"{prefix}.{name}" if prefix else name
        inner = f"{prefix}{_OF_ENTRIES}" if holds_entries(prefix) else key
        own = value["extractor"] if prefix == MODALITIES else extractor
        comment = comments.get((key, None)) or comments.get((key, extractor)) or sections.get(key)
        yield from _commented(comment or "", indent)
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_yaml(name)}:"
            yield from _section(value, inner, comments, sections, own)
        else:
            yield f"{indent}{_yaml(name)}: {_yaml(value)}"


def _commented(comment: str, indent: str) -> Iterator[str]:
    start = f"{indent}# "
    yield from wrap(comment, _WIDTH, initial_indent=start, subsequent_indent=start)


def _comment(key: ConfigKey) -> str:
    return f"{key.description} [{key.allowed}]"


def _yaml(value: Any) -> str:
    """Return a value as YAML on one line; what would not be visible is written as an escape."""
    unicode_text = _dumped(value, allow_unicode=True)
    is_visible = visible(unicode_text) == unicode_text
    return unicode_text if is_visible else _dumped(value, allow_unicode=False)


def _dumped(value: Any, *, allow_unicode: bool) -> str:
    text: str = yaml.dump(
        value,
        Dumper=ConfigDumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=allow_unicode,
        width=float("inf"),
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _label(key: ConfigKey) -> str:
    return key.key if key.is_required else f"{key.key}:"


def _shown_default(key: ConfigKey) -> str:
    return "(required)" if key.is_required else _plain(key.default)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _heading(section: str, extractor: str | None) -> str:
    return f"{section}: {_about(section, extractor)}" if section else _about(section, extractor)


def _about(section: str, extractor: str | None) -> str:
    """Return a sentence on a section, or on the options of an extractor."""
    if extractor is not None:
        return f"With `extractor: {extractor}`."
    if section.endswith(_OF_ENTRIES):
        about = section_descriptions()[section.removesuffix(_OF_ENTRIES)]
        return f"{about} Each entry has these keys."
    return section_descriptions().get(section, "What a config file holds.")
