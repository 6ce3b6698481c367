"""A trained model read back, to encode what a run has not encoded: new entities, other evidence."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.config import ModelConfig
from model.inputs import modality_rows
from model.mocme import MoCME
from model.runs.run_folder import RunFolder
from storage.datasets.graph import Graph
from storage.errors import MocmeError
from storage.features.table import FeatureTable


class OtherFeaturesError(MocmeError):
    """Features that are not those that a run was trained on."""


def read_model(
    folder: RunFolder,
    graph: Graph,
    tables: Mapping[str, FeatureTable],
    config: ModelConfig,
    *,
    inverse_relations: bool,
) -> MoCME:
    """Make a finished run's model anew and let it be as it was trained.

    Args:
        folder: The run's folder.
        graph: Its graph, or one with more entities behind its own; those read the mean of the
            learned rows.
        tables: Feature table by modality, rows in the graph's entity order.
        config: The run's `model` section.
        inverse_relations: Its `train.inverse_relations`.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        OtherFeaturesError: If the features have other modalities or widths than the run's.
    """
    weights = folder.read_weights()
    rows = modality_rows(tables, graph, torch.device("cpu"), config.attend, folder.read_dtype())
    seen = torch.from_numpy(graph.seen_in_training)
    model = MoCME(rows, seen, graph.num_relations, config, inverse_relations)
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    different = sorted(set(wanted) ^ set(weights))
    if different:
        raise OtherFeaturesError(
            f"{folder.root}: found other parts of the model ({different[0]}) than the features ask "
            f"for ({', '.join(rows)}); allowed: the modalities that the run was trained on"
        )
    grown = {name: _with_mean_rows(value, wanted[name]) for name, value in weights.items()}
    for name, value in grown.items():
        if value.shape != wanted[name]:
            raise OtherFeaturesError(
                f"{folder.root}: found {name} of shape {tuple(value.shape)}, where the features "
                f"ask for {tuple(wanted[name])}; allowed: features of the run's own dimensions; "
                "`mocme train` learns from others"
            )
    model.load_state_dict(grown)
    return model.eval()


def _with_mean_rows(value: Tensor, shape: torch.Size) -> Tensor:
    """Append the mean row for every entity more that a table of learned rows is to have."""
    is_table = value.dim() == len(shape) == 2 and value.shape[1] == shape[1]
    if not is_table or len(value) >= shape[0]:
        return value
    return torch.cat([value, value.mean(0).expand(shape[0] - len(value), -1)])
