"""Words for a model: how they are read, and the vectors that they become."""

import hashlib
import re
import unicodedata
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.attention import known_only, make_band, rotation_of
from duet_rl.models.prompt import Prompt
from duet_rl.models.streams import INIT_STD
from duet_rl.models.transformer import Transformer

BAG_SEED = 20  # of the vectors of the "hash" encoder: the same on every machine

_WORD = re.compile(r"\w+(?:'\w+)?")
_DIGEST = 8  # bytes of a word's hash


class TextConfig(Config):
    """How a model hears words."""

    # A small transformer that learns with the model | vectors drawn once, in no order, nothing
    # to learn | the frozen text tower of CLIP, from a file.
    encoder: Literal["embedded", "hash", "clip"] = "embedded"
    buckets: int = Field(default=4096, gt=1)  # rows of the table of words; each word has two
    width: int = Field(default=128, gt=0)  # channels of the small transformer
    layers: int = Field(default=2, ge=0)
    heads: int = Field(default=4, gt=0)
    words: int = Field(default=48, gt=0)  # most words that are read of a text
    clip: str | None = None  # path of the weights of CLIP: a folder or a file
    channels: int = Field(default=512, gt=0)  # of CLIP's words; 512 in ViT-B/32

    @model_validator(mode="after")
    def _fits_together(self) -> "TextConfig":
        if self.width % (2 * self.heads):
            raise ValueError(
                f"text width {self.width} does not divide into {self.heads} heads of an even "
                f"number of channels; make it a multiple of {2 * self.heads}"
            )
        if (self.encoder == "clip") != (self.clip is not None):
            raise ValueError(
                "text encoder clip and a path in text.clip go together; give both, or choose "
                "encoder: embedded and no path"
            )
        return self


@runtime_checkable
class TextReader(Protocol):
    """Turns sentences into the tensor that a model takes; it has no weights that learn."""

    def read(self, texts: list[str]) -> Tensor:
        """Return one row for each text; an empty text is a row of zeros: nothing is said."""
        ...


class WordReader:
    """Numbers words by their hash, the same in every process and on every machine.

    A number names two rows of a table of `buckets`, so that two words share a vector once in
    some millions (Svenstrup et al. 2017, "Hash Embeddings for Efficient Word Representations").
    Small and capital letters are one; punctuation is not read.
    """

    def __init__(self, buckets: int, words: int) -> None:
        self.buckets, self.words = buckets, words

    def read(self, texts: list[str]) -> Int[Tensor, "B L"]:
        """Return the number of each word, 0 behind the last one."""
        read = torch.zeros(len(texts), self.words, dtype=torch.int64)
        for row, text in enumerate(texts):
            numbers = [self._number(word) for word in words_of(text)[: self.words]]
            read[row, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
        return read

    def _number(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode(), digest_size=_DIGEST).digest()
        return int.from_bytes(digest, "big") % (self.buckets**2 - 1) + 1


class ClipReader:
    """Reads the words of a sentence as CLIP's text tower understands them, frozen."""

    def __init__(self, path: str, channels: int, words: int) -> None:
        from duet_rl.models.clip_text import ClipText  # an extra: only where it is asked for

        self.tower, self.most = ClipText.load(path), words
        if self.tower.width != channels:
            raise InputError(
                f"the words of {path} have {self.tower.width} channels and the model hears "
                f"{channels}; set text.channels to the former, or give the weights that the "
                "model was trained with"
            )

    def read(self, texts: list[str]) -> Float[Tensor, "B L C"]:
        """Return a vector for each word, zeros behind the end and where there are no words."""
        said = torch.tensor([bool(words_of(text)) for text in texts], dtype=torch.bool)
        return self.tower.words(texts)[:, : self.most].cpu() * said[:, None, None]


def reader_of(config: TextConfig) -> TextReader:
    """Return what reads texts for a model of these settings.

    Raises:
        InputError: the weights of CLIP are not there, or the library that reads them.
    """
    if config.encoder == "clip":
        assert config.clip is not None
        return ClipReader(config.clip, config.channels, config.words)
    return WordReader(config.buckets, config.words)


def words_of(text: str) -> list[str]:
    """Return the words of a text, in small letters."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class PromptEncoder(nn.Module):
    """Turns read texts into a `Prompt`.

    The first vector of every prompt is learned and always there; a clip that is told nothing has
    it alone.

    Args:
        config: how words are heard.
        width: channels of the model that hears them.
    """

    def __init__(self, config: TextConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.nothing = nn.Parameter(torch.randn(width) * INIT_STD)
        self.encode: nn.Module
        if config.encoder == "embedded":
            self.encode = _Sentences(config, width)
        elif config.encoder == "hash":
            self.encode = _Bag(config.buckets, width)
        else:
            self.encode = _Projection(config.channels, width)

    def forward(
        self, read: Tensor | None, batch: int = 1, silent: Bool[Tensor, "B"] | None = None
    ) -> Prompt:
        """Return the prompt of each clip.

        Args:
            read: from the `TextReader` of the same settings, `(B, L)` or `(B, L, C)`; None: no
                clip is told anything.
            batch: how many clips, where there is no text.
            silent: `(B,)`, clips whose words are not heard.

        Raises:
            InputError: what another reader has read.
        """
        if read is None:
            return self._with_nothing(self.nothing.new_zeros(batch, 0, len(self.nothing)))
        self.check(read)
        read = read.to(self.nothing.device)
        if silent is not None:
            read = read * ~silent.view(-1, *[1] * (read.dim() - 1))
        vectors, known = self.encode(read)
        return self._with_nothing(vectors, known)

    def check(self, read: Tensor) -> None:
        """Make sure that `read` was read by the reader of these settings, or say why not."""
        if self.config.encoder == "clip":
            channels = self.config.channels
            fits = read.dim() == 3 and read.is_floating_point() and read.shape[2] == channels
            wanted = f"(batch, words, {channels}) floats"
        else:
            fits = read.dim() == 2 and read.shape[1] > 0 and read.dtype == torch.int64
            wanted = "(batch, words) whole numbers"
            if fits and read.numel():
                fits = 0 <= int(read.min()) and int(read.max()) < self.config.buckets**2
                wanted += f" below {self.config.buckets**2}"
        if not fits:
            raise InputError(
                f"the text is {tuple(read.shape)} {read.dtype}, and {wanted} are wanted; read it "
                "with reader_of of the model's own text settings"
            )

    def _with_nothing(self, vectors: Tensor, known: Tensor | None = None) -> Prompt:
        batch = len(vectors)
        first = self.nothing.expand(batch, 1, -1)
        always = torch.ones(batch, 1, dtype=torch.bool, device=vectors.device)
        known = always if known is None else torch.cat([always, known], dim=1)
        return Prompt(torch.cat([first, vectors], dim=1), known)


class _Sentences(nn.Module):
    """The small transformer: every word sees every word.

    A word that training never said is not heard, for its vectors have learned nothing; before
    any training all are.
    """

    seen: Tensor

    def __init__(self, config: TextConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.buckets, config.width)
        nn.init.normal_(self.table.weight, std=INIT_STD)
        self.register_buffer("seen", torch.zeros(config.buckets, dtype=torch.uint8))
        self.trunk = Transformer(config.width, config.layers, config.heads, dropout=0.0)
        self.widen = nn.Linear(config.width, width)

    def forward(self, read: Int[Tensor, "B L"]) -> tuple[Tensor, Tensor]:
        read = _trimmed(read)
        both = _buckets_of(read, self.config.buckets)
        known = read > 0
        if self.training:
            self.seen[both[known].flatten()] = 1
            if dist.is_available() and dist.is_initialized():
                dist.all_reduce(self.seen, dist.ReduceOp.MAX)  # what any worker was told
        else:
            heard = self.seen.bool()
            known = known & (heard[both].all(dim=-1) | ~heard.any())
        length = read.shape[1]
        band = known_only(make_band(length, length, length, read.device), known)
        positions = torch.arange(length, device=read.device)
        rotation = rotation_of(positions, self.config.width // self.config.heads)
        words = self.table(both).sum(dim=-2)
        return self.widen(self.trunk(words, rotation, band)), known


class _Bag(nn.Module):
    """Vectors of words drawn once; their order does not matter and nothing learns."""

    table: Tensor

    def __init__(self, buckets: int, width: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(BAG_SEED)
        table = torch.randn(buckets, width, generator=random)
        self.register_buffer("table", table, persistent=False)

    def forward(self, read: Int[Tensor, "B L"]) -> tuple[Tensor, Tensor]:
        read = _trimmed(read)
        return self.table[_buckets_of(read, len(self.table))].sum(dim=-2), read > 0


class _Projection(nn.Module):
    """Brings the vectors of CLIP to the width of the model."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, width)

    def forward(self, read: Float[Tensor, "B L C"]) -> tuple[Tensor, Tensor]:
        return self.widen(self.norm(read)), read.any(dim=-1)


def _buckets_of(read: Int[Tensor, "B L"], buckets: int) -> Int[Tensor, "B L 2"]:
    """Return the two rows of the table that each word adds up."""
    return torch.stack([read % buckets, read // buckets], dim=-1)


def _trimmed(read: Int[Tensor, "B L"]) -> Int[Tensor, "B M"]:
    """Return `read` without the last columns, where no clip has a word; one stays."""
    used = (read > 0).any(dim=0).nonzero()
    return read[:, : int(used[-1]) + 1 if len(used) else 1]


def check_batch(texts: int, clips: int) -> None:
    """Make sure that there is one text for each clip.

    Raises:
        InputError: another number.
    """
    if texts != clips:
        raise InputError(f"{texts} texts were given for {clips} clips; give one text per clip")
