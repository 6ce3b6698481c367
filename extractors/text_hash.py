"""Texts as hashed words and character n-grams; needs no weights.

The hashing trick with signs: Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning" (ICML 2009); n-grams of a word between boundary marks: Bojanowski et al., "Enriching
Word Vectors with Subword Information" (TACL 2017).
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import Extractor, ExtractorConfig, MediaError, RawContent

_NGRAM_LENGTHS = (3, 4, 5)
_MAX_WORD_LENGTH = 64  # what is longer is no word, but text without spaces
_PUNCTUATION = (
    r"\s\x00-\x2f:-@\[-`{-\xa1\xa7\xab\xb6\xb7\xbb\xbf\u2000-\u206f\u3000-\u3003\u3008-\u3011"
)
# Not `\w`, which takes the vowel signs of Indic scripts and all emoji for punctuation.
_SIGN = f"[^{_PUNCTUATION}]"
_NUMBER_MARK = r"(?<=\d)[.,:/](?=\d)"
_WORD = re.compile(
    rf"(?:(?<![^\s(\[{{=<>,;:])-(?=\d))?{_SIGN}+(?:{_NUMBER_MARK}{_SIGN}+)*(?:[+#]+(?!{_SIGN}))?"
)
"""A word; with it the minus and the marks inside of a number, and the ends of C++, C# or Na+."""
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\ufeff"))  # soft hyphen, byte order mark


class TextHashConfig(ExtractorConfig):
    """Config of `text_hash`."""

    dim: int = Field(1024, ge=16, le=65536, description="Numbers in a row.")
    max_characters: int = Field(
        20_000, ge=1, description="Characters of a text that are read, from its start."
    )


class TextHash(Extractor[TextHashConfig, NDArray[np.float32]]):
    """Words and their character n-grams, hashed into one row of norm 1.

    A word that occurs n times weighs 1 + ln n. Its n-grams weigh as much each, so that long words,
    which tell more, count for more without statistics of any corpus. The order of words does not
    count.

    Beyond 64 characters a run is no word but text without spaces: a protein, or Thai. Its n-grams
    are counted as words are, each occurrence.
    """

    name = "text_hash"
    modality = "text"
    item_kind = "text"
    version = 3
    decodes_in_workers = False
    Config = TextHashConfig

    @property
    def dim(self) -> int:
        """Length of a row."""
        return self.config.dim

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Return the config."""
        return self.config.model_dump()

    def load(self, content: RawContent) -> NDArray[np.float32]:
        """Hash one text. Shape: (dim,)."""
        counts = Counter(_words(str(content)[: self.config.max_characters]))
        if not counts:
            raise MediaError("holds no word: only spaces and punctuation")
        row = np.zeros(self.config.dim, dtype=np.float32)
        unspaced: Counter[str] = Counter()
        for word, count in counts.items():
            if len(word) > _MAX_WORD_LENGTH:
                unspaced.update(_ngrams(word) * count)
            else:
                columns, signs = _hash_word(word, self.config.dim)
                np.add.at(row, columns, signs * np.float32(1.0 + np.log(count)))
        if unspaced:
            columns, signs = _hash(list(unspaced), self.config.dim)
            ngram_counts = np.array(list(unspaced.values()), dtype=np.float32)
            np.add.at(row, columns, signs * (1 + np.log(ngram_counts)))
        return row / max(float(np.linalg.norm(row)), 1e-12)

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Stack the rows. Shape: (len(batch), dim)."""
        return np.stack(batch)


def _words(text: str) -> list[str]:
    """Return the words, emoji and other signs of a text, in one form of all that look alike."""
    seen = unicodedata.normalize("NFKC", text).translate(_UNSEEN)
    return _WORD.findall(seen.casefold())


def _ngrams(word: str) -> list[str]:
    """Return the n-grams of a word between boundary marks, and the whole of it."""
    marked = f"<{word}>"
    return [
        marked[start : start + length]
        for length in (*_NGRAM_LENGTHS, len(marked))
        for start in range(len(marked) - length + 1)
    ]


@lru_cache(maxsize=1 << 15)
def _hash_word(word: str, dim: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the columns and the signs of a word and of its n-grams. Shapes: (n,), (n,)."""
    return _hash(sorted(set(_ngrams(word))), dim)


def _hash(ngrams: Sequence[str], dim: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the columns and the signs of n-grams. Shapes: (len(ngrams),), (len(ngrams),)."""
    codes = np.array([zlib.crc32(ngram.encode(errors="surrogatepass")) for ngram in ngrams])
    signs = np.where(codes >> 31, -1.0, 1.0).astype(np.float32)
    return (codes & 0x7FFFFFFF) % dim, signs
