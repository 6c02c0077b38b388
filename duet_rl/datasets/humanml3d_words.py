"""Words as the published evaluator of HumanML3D reads them: GloVe vectors and kinds of words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.files import require_file, require_folder
from duet_rl.pickles import load_pickle

MOST_WORDS = 20  # of a text; more are not read
BEGIN, END, UNKNOWN, OTHER = "sos", "eos", "unk", "OTHER"

KINDS = (
    *("VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV"),
    *("Loc_VIP", "Body_VIP", "Obj_VIP", "Act_VIP", "Desc_VIP", OTHER),
)
_OF_THEIR_OWN: dict[str, tuple[str, ...]] = {  # words whose kind is this, whatever the file says
    kind: tuple(words.split())
    for kind, words in {
        "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up "
        "down straight curve",
        "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
        "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
        "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble "
        "stop sit lift lower raise wash stand kneel stroll rub bend balance flap jog shuffle lean "
        "rotate spin spread climb",
        "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily "
        "sadly",
    }.items()
}
_KIND_OF = {word: kind for kind, words in _OF_THEIR_OWN.items() for word in words}
_VECTORS, _NUMBERS = "our_vab_data.npy", "our_vab_idx.pkl"


class ReadText(NamedTuple):
    """A text as the evaluator takes it, of `MOST_WORDS` words and the two ends."""

    words: Float[Tensor, "L W"]
    kinds: Float[Tensor, "L G"]  # one-hot
    length: int  # of them, with both ends


class WordVectors:
    """The vectors of known words.

    Args:
        vectors: a row a word.
        numbers: the row of each word.

    Raises:
        InputError: a row is missing, or a word that every text needs.
    """

    def __init__(self, vectors: Float[Tensor, "V W"], numbers: Mapping[str, int]) -> None:
        lacking = [word for word in (BEGIN, END, UNKNOWN) if word not in numbers]
        if lacking:
            raise InputError(f"the words lack {', '.join(lacking)}; give the evaluator's own")
        beyond = [word for word, row in numbers.items() if not 0 <= row < len(vectors)]
        if beyond:
            raise InputError(
                f"{len(beyond)} words, such as {beyond[0]!r}, have no vector among the "
                f"{len(vectors)}; give the two files of one vocabulary"
            )
        self.vectors, self.numbers = vectors, dict(numbers)

    @classmethod
    def open(cls, folder: Path | str) -> "WordVectors":
        """Return the words in a folder with `our_vab_data.npy` and `our_vab_idx.pkl`.

        Nothing in the files is run.

        Raises:
            InputError: a file is missing, damaged, or does not fit the other.
        """
        folder = require_folder(folder, "the words of the evaluator")
        path = require_file(folder / _VECTORS, "vectors of words")
        try:
            rows = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} is no whole .npy file of numbers; fetch it again") from error
        numbers = load_pickle(folder / _NUMBERS, "the rows of words")
        if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.number):
            raise InputError(f"{path} has the shape {rows.shape}; wanted a row of numbers a word")
        wrong = [k for k, v in numbers.items() if not isinstance(v, int) or isinstance(v, bool)]
        if wrong:
            raise InputError(f"{folder / _NUMBERS} has no row for {wrong[0]!r}; fetch it again")
        return cls(torch.from_numpy(rows.astype(np.float32)), numbers)

    def read(self, tokens: Sequence[str]) -> ReadText:
        """Return a text.

        Args:
            tokens: `word/KIND` each, as the files of the data set have them.
        """
        told = [token.rpartition("/") for token in tokens[:MOST_WORDS]]
        ends = [(BEGIN, OTHER)], [(END, OTHER)]
        pairs = [*ends[0], *((word, kind) for word, _, kind in told), *ends[1]]
        length = len(pairs)
        pairs += [(UNKNOWN, OTHER)] * (MOST_WORDS + 2 - length)
        known = [(w, k) if w in self.numbers else (UNKNOWN, OTHER) for w, k in pairs]
        rows = torch.tensor([self.numbers[word] for word, _ in known])
        kinds = torch.tensor([_place(word, kind) for word, kind in known])
        one_hot = torch.nn.functional.one_hot(kinds, len(KINDS)).float()
        return ReadText(self.vectors[rows], one_hot, length)


def _place(word: str, kind: str) -> int:
    kind = _KIND_OF.get(word, kind)
    return KINDS.index(kind if kind in KINDS else OTHER)
