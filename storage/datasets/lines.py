"""Lines of a text file, with the line numbers that error messages need."""

from collections.abc import Iterator
from pathlib import Path

from storage.errors import DatasetError


def numbered_lines(file: Path, allowed: str) -> Iterator[tuple[int, str]]:
    """Yield line number (from 1) and text of every line that is not blank.

    Line ends may be LF or CRLF and the file may start with a UTF-8 byte order mark, for editors
    write these unasked.

    Args:
        file: The file.
        allowed: What the file holds, for the message.

    Raises:
        DatasetError: If the file cannot be opened, or a line is not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                line = _decode(file, number, raw).rstrip("\r\n")
                if line.strip():
                    yield number, line
    except OSError as error:
        reason = error.strerror or "an unreadable file"
        raise DatasetError(file, found=reason.lower(), allowed=allowed) from error


def _decode(file: Path, number: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{raw[error.start]:02x} at column {error.start + 1}, not UTF-8"
        raise DatasetError(file, line=number, found=found, allowed="text in UTF-8") from error
