"""Words for a follower: what its model and its refiner are told of a text."""

import re
from collections.abc import Sequence
from functools import cache

from jaxtyping import Int
from torch import Tensor

from duet_rl.captions.facts import Fact
from duet_rl.captions.parse import read
from duet_rl.errors import InputError
from duet_rl.models.follower import FollowerGPT
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.text import TextConfig, TextReader, reader_of
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
    return read_prompts(text, model.config.text).to(model.start.device)


def read_prompts(texts: Sequence[str], config: TextConfig) -> Tensor:
    """Return what a reader reads of texts, the facts that they say spelled out for it.

    The embedded and the hash encoder know single words, and each fact has one; a sentence that is
    read as a whole stays as it is.
    """
    if config.encoder != "clip":
        texts = [spelled_out(text) for text in texts]
    return reader(config).read(list(texts))


@cache
def reader(config: TextConfig) -> TextReader:
    """Return the reader of these settings, always the same one: CLIP's tower takes a while."""
    return reader_of(config)


def spelled_out(text: str, facts: Sequence[Fact] | None = None) -> str:
    """Return a text behind one word for each fact that it says, such as `state_left_arm_raised`.

    So what is said does not depend on how it is said: the words of a sentence have to be learned
    in all their ways, these once.

    Args:
        text: may say things that are no facts, too.
        facts: that it says; None reads them from it.
    """
    words = []
    for fact in read(text).facts if facts is None else facts:
        words.append(re.sub(r"\W+", "_", fact.key))
        if fact.when:
            words.append(f"when_{fact.when}")
    return " ".join([*words, text]).strip()


def decoded(
    codec: AnyCodec,
    tokens: Int[Tensor, "B N S"],
    leader: MotionBatch,
    text: Sequence[str] | None = None,
) -> DecodedFollower:
    """Return the followers that dance `tokens`; a refiner that hears words hears `text`."""
    refiner = codec.refiner if isinstance(codec, ReadableCodec) else None
    if text is None or refiner is None or refiner.config.text is None:
        return codec.decode(tokens, leader)
    assert isinstance(codec, ReadableCodec)
    told = read_prompts(text, refiner.config.text).to(tokens.device)
    return codec.decode(tokens, leader, text=told)
