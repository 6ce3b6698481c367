"""Feature files as the field publishes them: matrices of N rows, or a vector by id.

`.npy`, `.npz`, `.safetensors`, `.pth` and `.pt` (tensors, and dicts or lists of them), `.h5`. None
of them is read by anything that could run code: `allow_pickle=False`, `weights_only=True`. Files of
`.npy`, `.safetensors` and `.pth` are mapped, so that only the rows that are asked for are read;
those of `.npz` and `.h5` are read as a whole, after extractors/media/unpacked_size.py has looked at
what they claim to hold.
"""

import pickle
import re
import stat
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractors.loading import one_line
from extractors.media.unpacked_size import (
    require_modest_arrays,
    require_modest_npz,
    require_modest_torch,
)
from storage.errors import MocmeError
from storage.files.file_access import open_regular

Matrix = NDArray[Any]
"""Real numbers of any type. Shape: (N, dim)."""

_REAL = "fiu"  # kinds of real numbers
_MOST_NAMED = 5  # arrays that a message lists
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")  # in the message of torch's restricted unpickler


class FeatureFileError(MocmeError):
    """A file of features that cannot be read as it is, or that does not fit its ids."""


@dataclass(frozen=True)
class FeatureFile:
    """What a file holds.

    Attributes:
        rows: Shape: (N, dim).
        ids: Ids of the rows, if the file names each vector by one.
    """

    rows: Matrix
    ids: tuple[str, ...] | None = None


def read_feature_file(path: Path, key: str | None = None) -> FeatureFile:
    """Read a file of features.

    Args:
        path: The file; its suffix says what it is.
        key: Name of the matrix in a file that holds several arrays.

    Raises:
        FeatureFileError: If the file cannot be read safely, or holds anything else.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise _refusal(path, f"the suffix '{path.suffix}'", ", ".join(_READERS))
    require_file(path)
    try:
        open_regular(path).close()  # a FIFO would block, a device might never end
        found = reader(path)
    except ImportError as error:
        raise _refusal(path, str(error), "pip install 'mocme[files]', which reads it") from error
    except pickle.UnpicklingError as error:
        raise _refusal(path, _describe_objects(error), _ALLOWED_TORCH) from error
    except OSError as error:
        raise _refusal(path, error.strerror or one_line(str(error)), "a readable file") from error
    except Exception as error:  # broken files make the libraries raise anything
        reason = one_line(str(error)) or type(error).__name__
        raise _refusal(path, reason, "a sound file of its kind") from error
    return _choose(path, found, key)


def require_file(path: Path) -> None:
    """Refuse what is no file: a FIFO would be waited for.

    Raises:
        FeatureFileError: If there is none, or something else stands there.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise _refusal(path, reason, "a file") from error
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path, "no regular file", "a file")


def _choose(path: Path, found: Matrix | Mapping[str, Matrix], key: str | None) -> FeatureFile:
    """Return the matrix that is meant, or stack the vectors that have ids."""
    if isinstance(found, np.ndarray):
        if key is not None:
            raise _refusal(path, f"key '{key}' beside a single array", "no key")
        return FeatureFile(_matrix(path, found))
    if key is not None:
        if key not in found:
            raise _refusal(path, f"no array '{key}'", _describe(found))
        return FeatureFile(_matrix(path, found[key]))
    if len(found) == 1 and next(iter(found.values())).ndim == 2:
        return FeatureFile(_matrix(path, next(iter(found.values()))))
    vectors = [vector.reshape(-1) for vector in found.values() if _is_vector(vector)]
    if not vectors or len(vectors) < len(found) or len({len(vector) for vector in vectors}) > 1:
        raise _refusal(path, _describe(found), "one matrix, `key: NAME`, or equal vectors by id")
    return FeatureFile(_matrix(path, np.stack(vectors)), tuple(found))


def _matrix(path: Path, array: Matrix) -> Matrix:
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in _REAL:
        found = f"an array of shape {array.shape} and dtype {array.dtype}"
        raise _refusal(path, found, "real numbers of shape (N, dim)")
    return array


def _is_vector(array: Matrix) -> bool:
    is_one = array.ndim == 1 or (array.ndim == 2 and array.shape[0] == 1)
    return is_one and array.dtype.kind in _REAL


def _describe_objects(error: pickle.UnpicklingError) -> str:
    """Name what torch would have to run code for."""
    name = _GLOBAL.search(str(error))
    return f"objects that only running code can load{f', such as {name[1]}' if name else ''}"


def _describe(arrays: Mapping[str, Matrix]) -> str:
    shown = [f"'{name}' {array.shape}" for name, array in list(arrays.items())[:_MOST_NAMED]]
    return f"{len(arrays)} arrays: {', '.join(shown)}{', ...' if len(arrays) > len(shown) else ''}"


def _read_npy(path: Path) -> Matrix:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("another kind of file under this suffix")
    return array


def _read_npz(path: Path) -> dict[str, Matrix]:
    require_modest_npz(path)
    with np.load(path, allow_pickle=False) as arrays:
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("another kind of file under this suffix")
        return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}


def _read_safetensors(path: Path) -> dict[str, Matrix]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: _as_numpy(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118


def _read_torch(path: Path) -> Matrix | dict[str, Matrix]:
    import torch

    mapped = zipfile.is_zipfile(path)  # what older versions of torch wrote cannot be mapped
    require_modest_torch(path)
    found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    if isinstance(found, torch.Tensor):
        return _tensors(path, {"": found})[""]
    if isinstance(found, list | tuple) and all(isinstance(row, torch.Tensor) for row in found):
        return np.stack([*_tensors(path, dict(enumerate(found))).values()])
    if isinstance(found, Mapping):
        kept = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
        return _tensors(path, kept)
    raise ValueError(f"a {type(found).__name__} where {_ALLOWED_TORCH} may be")


def _tensors(path: Path, tensors: Mapping[Any, Any]) -> dict[str, Matrix]:
    """Return tensors as arrays, after a look at their sizes: they may share their bytes."""
    named = {str(name): tensor for name, tensor in tensors.items()}
    if len(named) < len(tensors):
        raise ValueError("ids that differ by their type alone, such as 1 and '1'")
    require_modest_arrays(path, named, is_mapped=True)
    return {name: _as_numpy(tensor) for name, tensor in named.items()}


def _as_numpy(tensor: Any) -> Matrix:
    """Return a tensor as an array; numpy has no bfloat16, and float32 holds all of it."""
    import torch

    if tensor.layout != torch.strided:
        raise ValueError(f"a tensor of layout {tensor.layout}")
    tensor = tensor.detach()
    array: Matrix = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _read_hdf5(path: Path) -> dict[str, Matrix]:
    import h5py

    members: dict[str, Any] = {}

    def collect(name: str, member: object) -> None:
        if isinstance(member, h5py.Dataset):
            if member.is_virtual or member.external:
                raise ValueError(f"'{name}', whose content lies in other files")
            members[name] = member

    with h5py.File(path, "r") as file:
        file.visititems(collect)  # follows no links
        require_modest_arrays(path, members, is_mapped=False)
        return {name: _hdf5_array(member) for name, member in members.items()}


def _hdf5_array(member: Any) -> Matrix:
    """Read a dataset; of what is no number the shape alone, for it may refer to any content."""
    if member.dtype.kind in _REAL:
        return np.asarray(member[()])
    return np.broadcast_to(np.zeros((), dtype="V1"), member.shape)


def _refusal(path: Path, found: str, allowed: str) -> FeatureFileError:
    return FeatureFileError(f"{path}: found {found}; allowed: {allowed}")


_ALLOWED_TORCH = "a tensor, or a dict or list of tensors"

_READERS: Mapping[str, Callable[[Path], Matrix | dict[str, Matrix]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}
