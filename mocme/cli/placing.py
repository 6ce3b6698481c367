"""The `place` command: entities that arrived after a training."""

from flows.configs.pipeline_config import load_config
from flows.terminal.output import STDERR, print_json, print_line
from mocme.cli.options import AsJson, ConfigFile, Overrides, RunDir


def place(
    config: ConfigFile,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Place new entities without training: a run answers questions about them, too.

    New are entities of the dataset that the run was trained without. They are encoded from their
    stored features and from those of their triples in the training split whose relation the run
    knows. Other entities stay as they are. `mocme extract CONFIG` comes before it; the folder that
    is printed is then what to ask.

    Example:  mocme place data/demo/mocme.yaml
    """
    from flows.stages.staged_run import newest_run_of, open_run
    from mocme.placing import place_new

    settings = load_config(config, overrides or ())
    run = newest_run_of(settings) if run_dir is None else open_run(run_dir)
    with STDERR.status("placing new entities"):
        placed = place_new(settings, run)
    if as_json:
        folder = None if placed.folder is None else str(placed.folder)
        print_json({"run_dir": folder, "new": placed.num_new, "facts": placed.num_facts})
    elif placed.folder is None:
        print_line("nothing new: the run knows every entity of the dataset")
    else:
        print_line(
            f"{placed.num_new} new entities placed, with {placed.num_facts} facts of theirs; ask:"
        )
        print_line(f"  mocme predict --run {placed.folder} --head X --relation R")
