"""Lines of a text file, with the line numbers that error messages need."""

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from storage.errors import DatasetError
from storage.files.file_access import RefusedFileError, open_regular

_MAX_LINE_BYTES = 2**28
"""256 MiB; a file with holes may be one line of any length, and takes no disk."""

_BUFFER_BYTES = 2**18


def numbered_lines(
    file: Path, allowed: str, inside: Path | None = None
) -> Iterator[tuple[int, str]]:
    """Yield line number (from 1) and text of every line that is not blank.

    Line ends may be LF or CRLF and the file may start with a UTF-8 byte order mark, for editors
    write these unasked.

    Args:
        file: The file.
        allowed: What the file holds, for the message.
        inside: The dataset's folder, which no link may lead out of; None where the user, not a
            dataset, names the file.

    Raises:
        DatasetError: If the file cannot be opened or must not be, or a line is not UTF-8 or too
            long.
    """
    try:
        with BufferedReader(open_regular(file, inside), _BUFFER_BYTES) as stream:
            lines = iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b"")
            for number, raw in enumerate(lines, start=1):
                line = _decode(file, number, raw).rstrip("\r\n")
                if line.strip():
                    yield number, line
    except RefusedFileError as error:
        found, _, limit = str(error.strerror).partition("; allowed: ")
        where = "" if inside is None else f" inside {inside}; copy it there if it lies elsewhere"
        allowed = limit or f"a regular file{where}"
        raise DatasetError(file, found=found, allowed=allowed) from error
    except OSError as error:
        reason = error.strerror or "an unreadable file"
        raise DatasetError(file, found=reason.lower(), allowed=allowed) from error


def _decode(file: Path, number: int, raw: bytes) -> str:
    if len(raw) > _MAX_LINE_BYTES:
        found, limit = f"a line of more than {_MAX_LINE_BYTES} bytes", "shorter lines"
        raise DatasetError(file, line=number, found=found, allowed=limit)
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{raw[error.start]:02x} at column {error.start + 1}, not UTF-8"
        raise DatasetError(file, line=number, found=found, allowed="text in UTF-8") from error
