"""The command `status`: what a run of a config would do."""

from flows.configs.pipeline_config import load_config
from flows.terminal.output import STDERR, STDOUT, print_json, print_line
from mocme.cli.dry_run import print_items
from mocme.cli.options import AsJson, ConfigFile, Overrides
from mocme.tables import table

_WOULD = {"fresh": "would be skipped", "stale": "would run"}


def status(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Say what is fresh, what is stale and why, and do nothing.

    Example:  mocme status data/demo/mocme.yaml --set train.epochs=30
    """
    from mocme.status import status_of

    settings = load_config(config, overrides or ())
    with STDERR.status("comparing dataset, store and runs"):
        found = status_of(settings)
    if as_json:
        print_json(found.as_json())
        return
    if found.modalities:
        print_items(found.modalities)
    made = table("Stages", ["stage", "state", ""], [])
    made.add_column("why", overflow="fold")
    for stage, it in found.stages.items():
        made.add_row(stage, it.state, _WOULD[it.state], "\n".join(it.reasons))
    STDOUT.print(made)
    answering = [*found.learned][-1]
    for what, model in (("metrics", "selected"), ("answers", answering)):
        print_line(f"{what}: of the model {model}, which learns {', '.join(found.learned[model])}")
    if found.run_dir is not None:
        what = "run" if found.run_dir.exists() else "a run would make"
        print_line(f"{what}: {found.run_dir}")
