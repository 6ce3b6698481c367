"""The command `config`: every key of a config explained, or a config with all its values."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from flows.configs.pipeline_config import load_config
from flows.terminal.output import print_json, print_line
from mocme.cli.options import AsJson, MaybeConfigFile, Overrides


def config(
    config: MaybeConfigFile = None,
    overrides: Overrides = None,
    defaults: Annotated[
        bool,
        typer.Option(
            "--defaults", help="Print every key with its default, its bounds and a sentence."
        ),
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of a config, for editors.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="With --defaults: as the page docs/config.md.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a config with all its values, or explain every key.

    CONFIG is printed as it is read, as commented YAML: defaults filled in, paths absolute. Nothing
    else is read or checked, neither dataset nor weights.

    Example:  mocme config --defaults
    """
    _refuse_mixtures(config is not None, bool(overrides), defaults, schema, markdown, as_json)
    from mocme import config_text

    if schema:
        from flows.configs.editor_schema import editor_schema

        print_json(editor_schema())
    elif config is not None:
        settings = load_config(config, overrides or ())
        if as_json:
            print_json(config_text.config_data(settings))
        else:
            _print(config_text.yaml_lines(settings))
    elif as_json:
        from flows.configs.described import config_keys

        print_json({"keys": [asdict(key) for key in config_keys()]})
    else:
        _print(config_text.markdown_lines() if markdown else config_text.default_lines())


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print_line(line)


def _refuse_mixtures(
    has_config: bool, has_overrides: bool, defaults: bool, schema: bool, markdown: bool, json: bool
) -> None:
    """Refuse options that do not go together."""
    if has_config + defaults + schema != 1:
        raise typer.BadParameter("give one of CONFIG, --defaults and --schema")
    if has_overrides and not has_config:
        raise typer.BadParameter("--set is for CONFIG")
    if markdown and (json or not defaults):
        raise typer.BadParameter("--markdown is for --defaults, without --json")
