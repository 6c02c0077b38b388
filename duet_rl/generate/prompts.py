"""Words for a follower: what its model and its refiner are told of a text."""

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.follower import FollowerGPT
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.text import reader_of
from duet_rl.tokenizers.codec import AnyCodec
from duet_rl.tokenizers.duet import DecodedFollower
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.readable import ReadableCodec


def hears_words(model: FollowerGPT) -> bool:
    """Return whether a text tells the model what to dance."""
    return isinstance(model, MultiStreamGPT) and model.config.text is not None


def words_for(model: FollowerGPT, text: Sequence[str] | None, dances: int) -> Tensor | None:
    """Return what the model's reader reads of a text for each of so many dances.

    Raises:
        InputError: the model hears no words, or there is another number of texts.
    """
    if text is None:
        return None
    if not isinstance(model, MultiStreamGPT) or model.config.text is None:
        raise InputError(
            "this follower hears no words; leave the text out, or train one with follower.text "
            "(`duet-rl pretrain text2motion`)"
        )
    if len(text) != dances:
        raise InputError(f"{len(text)} texts were given for {dances} dances; give one for each")
    return reader_of(model.config.text).read(list(text)).to(model.start.device)


def decoded(
    codec: AnyCodec,
    tokens: Int[Tensor, "B N S"],
    leader: MotionBatch,
    text: Sequence[str] | None = None,
) -> DecodedFollower:
    """Return the followers that dance `tokens`; a refiner that hears words hears `text`."""
    from duet_rl.models.level_refiner import LevelRefiner

    refiner = codec.refiner if isinstance(codec, ReadableCodec) else None
    if text is None or not isinstance(refiner, LevelRefiner) or refiner.config.text is None:
        return codec.decode(tokens, leader)
    assert isinstance(codec, ReadableCodec)
    read = reader_of(refiner.config.text).read(list(text)).to(tokens.device)
    return codec.decode(tokens, leader, text=read)
