"""Bounds the memory that a file of arrays takes, by what it claims to hold, before it is unpacked.

A few kilobytes can claim terabytes: by compression, by names that share their bytes, by a shape
without content, by a stride of zero. Real features are compressed tenfold or so, and what is below
`SMALL_BYTES` needs no such proof.
"""

import math
import mmap
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy_format

SMALL_BYTES = 2**28
"""256 MiB, which any machine has that extracts features."""

MAX_RATIO = 100
"""Bytes in memory for each byte on disk, at most."""

_ARRAY_SUFFIX = ".npy"
_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
_BYTE_ARRAYS = (b"builtins\nbytearray\n", b"__builtin__\nbytearray\n")


def require_modest_npz(path: Path) -> None:
    """Refuse an archive of arrays that would take too much memory.

    Raises:
        ValueError: If the archive is none to unpack.
    """
    known = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack ahead of what is asked
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(set(archive.namelist())) < len(members):
            raise ValueError("several members of one name")
        if any(member.compress_type not in known for member in members):
            raise ValueError("members compressed in a way that numpy does not write")
        _require_modest(path, sum(member.file_size for member in members), is_mapped=False)
        for member in members:
            if member.filename.endswith(_ARRAY_SUFFIX):
                with archive.open(member) as file:
                    _require_honest_header(member, file)


def require_modest_torch(path: Path) -> None:
    """Refuse a file of torch's whose members or pickles would take much memory to read.

    torch writes no member compressed, and lets pickles make byte arrays of any size, which no
    tensor needs.

    Raises:
        ValueError: If it is such a file.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("compressed members, which torch does not write")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if any(content.find(name) >= 0 for name in _BYTE_ARRAYS):
            raise ValueError("a pickle that makes byte arrays")


def require_modest_arrays(path: Path, arrays: Mapping[str, Any], *, is_mapped: bool) -> None:
    """Refuse arrays, or what has a shape and a dtype, that are larger than the file can explain.

    Args:
        path: The file.
        arrays: What it claims to hold.
        is_mapped: Whether no more of them is in memory than what is read.

    Raises:
        ValueError: If they are.
    """
    sizes = (math.prod(array.shape) * array.dtype.itemsize for array in arrays.values())
    _require_modest(path, sum(sizes), is_mapped=is_mapped)


def _require_modest(path: Path, num_bytes: int, *, is_mapped: bool) -> None:
    on_disk = path.stat().st_size
    if num_bytes > max(SMALL_BYTES, MAX_RATIO * on_disk):
        raise ValueError(
            f"{on_disk} bytes that claim to be {num_bytes}, more than {MAX_RATIO} times as many"
        )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if num_bytes > memory and not is_mapped:
        raise ValueError(f"{num_bytes} bytes of arrays, more than the {memory} of memory here")


def _require_honest_header(member: zipfile.ZipInfo, file: IO[bytes]) -> None:
    """Refuse an array of another size than its member's: numpy would make room for it first."""
    read_header = _HEADERS.get(npy_format.read_magic(file))
    if read_header is None:
        raise ValueError(f"'{member.filename}', of a version of the format with no plain arrays")
    shape, _, dtype = read_header(file)
    num_bytes, claimed = member.file_size - file.tell(), math.prod(shape) * dtype.itemsize
    if num_bytes != claimed and not dtype.hasobject:  # numpy refuses objects by itself
        raise ValueError(f"'{member.filename}', which claims {claimed} bytes and has {num_bytes}")
