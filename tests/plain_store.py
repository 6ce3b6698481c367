"""What a feature store holds, read and changed with plain LMDB calls and plain file bytes.

Nothing here uses the code under test: it restates the documented format.
"""

import struct
from pathlib import Path

import lmdb


def contents(directory: Path) -> dict[bytes, bytes | str]:
    """Return the bytes of the row, or the reason of the failure, by digest."""
    with lmdb.open(str(directory), readonly=True, max_dbs=4) as environment:
        names = (b"blocks", b"index", b"failures")
        blocks, index, failures = (environment.open_db(name, create=False) for name in names)
        with environment.begin() as snapshot:
            found: dict[bytes, bytes | str] = {}
            for digest, entry in snapshot.cursor(index):
                block, row = struct.unpack(">IH", entry)
                stored, content = row_of(snapshot.get(struct.pack(">I", block), db=blocks), row)
                assert stored == digest
                found[digest] = content
            for digest, reason in snapshot.cursor(failures):
                assert digest not in found
                found[digest] = reason.decode()
            return found


def row_of(block: bytes, row: int) -> tuple[bytes, bytes]:
    """Return a row's digest and bytes."""
    magic, version, num_rows, row_bytes = struct.unpack_from("<4sIII", block)
    assert (magic, version) == (b"MCMB", 1)
    stride = -(-row_bytes // 8) * 8
    assert len(block) == 16 + num_rows * (40 + stride)
    digest = block[16 + 32 * row :][:32]
    return digest, block[16 + 40 * num_rows + stride * row :][:row_bytes]


def block_sizes(directory: Path) -> list[int]:
    """Return the number of rows of every block."""
    with lmdb.open(str(directory), readonly=True, max_dbs=4) as environment:
        blocks = environment.open_db(b"blocks", create=False)
        with environment.begin(db=blocks) as snapshot:
            return [struct.unpack_from("<I", value, 8)[0] for _, value in snapshot.cursor()]


def put(directory: Path, name: bytes, key: bytes, value: bytes | None) -> None:
    """Put (or, with None, delete) a value of a sub-database."""
    with lmdb.open(str(directory), max_dbs=4, map_size=2**30) as environment:
        database = environment.open_db(name, create=False)
        with environment.begin(write=True, db=database) as transaction:
            if value is None:
                transaction.delete(key)
            else:
                transaction.put(key, value)


def get(directory: Path, name: bytes, key: bytes) -> bytes | None:
    """Return a value of a sub-database."""
    with lmdb.open(str(directory), readonly=True, max_dbs=4) as environment:
        database = environment.open_db(name, create=False)
        with environment.begin(db=database) as snapshot:
            return snapshot.get(key)


def flip(directory: Path, pattern: bytes, offset: int = 0, mask: int = 0x01) -> None:
    """Flip bits of the byte at `offset` from every place in the file that reads `pattern`."""
    path = directory / "data.mdb"
    data = bytearray(path.read_bytes())
    place = data.find(pattern)
    assert place >= 0, "the pattern is not in the file"
    while place >= 0:
        data[place + offset] ^= mask
        place = data.find(pattern, place + len(pattern))
    path.write_bytes(data)
