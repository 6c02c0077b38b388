"""CLIP's vocabulary, read from any of the files that it comes in, and texts as its numbers."""

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from duet_rl.errors import InputError
from duet_rl.files import require_file

START, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY, MERGES = "vocab.json", "merges.txt"  # as the model hubs keep it
WHOLE = "tokenizer.json"  # both in one file
PACKED = "bpe_simple_vocab_16e6.txt.gz"  # as OpenAI's package has it: merges, and far too many
_PACKED_MERGES = 49_408 - 2 * 256 - 2  # that make the 49,408 words that CLIP knows
_LARGEST = 1 << 25  # bytes of a vocabulary that is read
_WORD_END = "</w>"  # that a symbol at the end of a word has
# Bytes that stand for themselves: visible ones. The others are named by letters from 256 on.
_VISIBLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, zlib.error)

Merges = list[tuple[str, str]]


class ClipWords(NamedTuple):
    """The vocabulary: symbols with their numbers, and which ones grow together."""

    numbers: dict[str, int]
    merges: Merges

    @property
    def start(self) -> int:
        """What every text begins with."""
        return self.numbers[START]

    @property
    def end(self) -> int:
        """What every text ends with."""
        return self.numbers[END]

    def read(self, texts: Sequence[str], most: int) -> list[list[int]]:
        """Return the numbers of each text, from start to end; a longer one is cut to `most`.

        Raises:
            InputError: the library that splits words is missing.
        """
        tokenizer = require_transformers().CLIPTokenizer(vocab=self.numbers, merges=self.merges)
        found = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [[self.start, *words[: most - 2], self.end] for words in found]

    def save(self, folder: Path) -> None:
        """Write the vocabulary as the model hubs keep it."""
        (folder / VOCABULARY).write_text(json.dumps(self.numbers), encoding="utf-8")
        lines = ["#version: 0.2", *(" ".join(pair) for pair in self.merges)]
        (folder / MERGES).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_clip_words(folder: Path) -> ClipWords:
    """Return the vocabulary that lies in a folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        if (folder / VOCABULARY).is_file() and (folder / MERGES).is_file():
            numbers = json.loads(_text(folder / VOCABULARY))
            merges = _pairs(_text(folder / MERGES).split("\n"))
        elif (folder / WHOLE).is_file():
            model = json.loads(_text(folder / WHOLE))["model"]
            numbers, merges = model["vocab"], _pairs(model["merges"])
        elif (folder / PACKED).is_file():
            merges = _pairs(_text(folder / PACKED).split("\n")[1:])[:_PACKED_MERGES]
            numbers = _numbered(merges)
        else:
            raise InputError(
                f"{folder} has no vocabulary of CLIP; put {VOCABULARY} and {MERGES}, {WHOLE}, or "
                f"{PACKED} of OpenAI's package there"
            )
        if not _is_whole(numbers, merges):
            raise ValueError("symbols without numbers")
    except _DAMAGED as error:
        raise InputError(
            f"the vocabulary of CLIP in {folder} is damaged ({error}); fetch it again"
        ) from error
    return ClipWords(numbers, merges)


def require_transformers() -> Any:
    """Return the library that has CLIP's text tower.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "CLIP reads texts by the package transformers, which is not installed; run: "
            "pip install 'duet-rl[clip]'"
        ) from error
    return transformers


def _text(path: Path) -> str:
    with require_file(path, "CLIP's vocabulary").open("rb") as file:
        packed = path.suffix == ".gz"
        read = gzip.open(file).read(_LARGEST + 1) if packed else file.read(_LARGEST + 1)
    if len(read) > _LARGEST:
        raise ValueError(f"{path.name} is larger than {_LARGEST} bytes")
    return read.decode("utf-8")


def _pairs(lines: Sequence[Any]) -> Merges:
    """Return merges that are lines of two symbols, or pairs already."""
    pairs = [tuple(line.split()) if isinstance(line, str) else tuple(line) for line in lines]
    kept = [pair for line, pair in zip(lines, pairs, strict=True) if not _is_remark(line)]
    if not all(len(pair) == 2 and all(isinstance(x, str) for x in pair) for pair in kept):
        raise ValueError("a merge is not of two symbols")
    return [(a, b) for a, b in kept]


def _is_remark(line: Any) -> bool:
    return isinstance(line, str) and (not line.strip() or line.startswith("#version"))


def _numbered(merges: Merges) -> dict[str, int]:
    """Return the numbers that symbols have in their order: bytes, bytes at an end, merges."""
    hidden = [byte for byte in range(256) if byte not in _VISIBLE]
    symbols = [chr(byte) for byte in _VISIBLE] + [chr(256 + i) for i in range(len(hidden))]
    symbols += [f"{symbol}{_WORD_END}" for symbol in symbols]
    symbols += ["".join(pair) for pair in merges]
    return {symbol: number for number, symbol in enumerate((*symbols, START, END))}


def _is_whole(numbers: Any, merges: Merges) -> bool:
    """Return whether every symbol has a number of its own and can be read."""
    if not isinstance(numbers, dict) or not all(type(n) is int for n in numbers.values()):
        return False
    made = {symbol for pair in merges for symbol in (*pair, "".join(pair))}
    return sorted(numbers.values()) == list(range(len(numbers))) and {START, END} | made <= set(
        numbers
    )
