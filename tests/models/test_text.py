"""Tests of words as a prompt: how they are read, and what becomes of them."""

import pytest
import torch
from pydantic import ValidationError

from duet_rl.errors import InputError
from duet_rl.models.clip_text import ClipText
from duet_rl.models.text import PromptEncoder, TextConfig, TextReader, reader_of, words_of

EMBEDDED = TextConfig(width=16, heads=2, words=6)
HASH = TextConfig(encoder="hash", words=6)
WIDTH = 8
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def encoder(config: TextConfig) -> PromptEncoder:
    torch.manual_seed(0)
    return PromptEncoder(config, WIDTH).eval()


def encode(config: TextConfig, *texts: str) -> torch.Tensor:
    """Return the vectors of one text each."""
    return encoder(config)(reader_of(config).read(list(texts))).vectors


def test_words_have_the_same_numbers_in_every_process_and_on_every_machine():
    read = reader_of(TextConfig(words=3)).read(["Raises the LEFT arm", "ça tourne"])
    assert read.tolist() == [[5766512, 4392346, 3212932], [10309149, 4692271, 0]]


def test_only_words_are_read_and_no_more_than_asked():
    assert words_of("Raises the LEFT arm, then -- doesn't stop!") == [
        *("raises", "the", "left", "arm", "then", "doesn't", "stop")
    ]
    read = reader_of(HASH).read(["", "!?", "one two", "a b c d e f g h"])
    assert isinstance(reader_of(HASH), TextReader)
    assert (read > 0).sum(dim=1).tolist() == [0, 0, 2, 6]
    assert torch.equal(read[2, :2], reader_of(HASH).read(["TWO. One?"])[0, [1, 0]])


def test_a_thousand_words_are_all_told_apart():
    read = reader_of(TextConfig(words=1)).read([f"word{n}" for n in range(1_000)])
    assert len(read.unique()) == 1_000


@pytest.mark.parametrize("config", [EMBEDDED, HASH], ids=["embedded", "hash"])
def test_a_text_among_longer_ones_becomes_what_it_is_alone(config):
    both = encoder(config)(reader_of(config).read(["turns left", "one two three four", ""]))
    for row, text in enumerate(("turns left", "one two three four", "")):
        alone = encoder(config)(reader_of(config).read([text]))
        known = alone.known[0]
        got = both.vectors[row, : len(known)][known]
        torch.testing.assert_close(got, alone.vectors[0][known], **CLOSE)
        assert both.known[row].sum() == known.sum()


@pytest.mark.parametrize("config", [EMBEDDED, HASH], ids=["embedded", "hash"])
def test_nothing_said_is_one_learned_vector_however_it_is_not_said(config):
    model, read = encoder(config), reader_of(config).read(["", "turns left"])
    silent = torch.tensor([False, True])
    for prompt in (model(None, batch=2), model(read, silent=silent)):
        assert prompt.known.sum(dim=1).tolist() == [1, 1]
        assert torch.equal(prompt.vectors[:, 0], model.nothing.expand(2, -1))


def test_the_order_of_words_counts_for_the_transformer_and_not_for_the_bag():
    one, other = "left then right", "right then left"
    assert not torch.allclose(encode(EMBEDDED, one).sum(1), encode(EMBEDDED, other).sum(1))
    torch.testing.assert_close(encode(HASH, one).sum(1), encode(HASH, other).sum(1))
    assert not torch.allclose(encode(HASH, one).sum(1), encode(HASH, "left then left").sum(1))


def test_the_bag_has_nothing_to_learn_or_to_store():
    model = encoder(HASH)
    assert [name for name, _ in model.named_parameters()] == ["nothing"]
    assert list(model.state_dict()) == ["nothing"]
    random = torch.random.get_rng_state()
    torch.manual_seed(7)
    assert torch.equal(PromptEncoder(HASH, WIDTH).encode.table, model.encode.table)
    torch.random.set_rng_state(random)


def test_words_that_training_never_said_are_not_heard():
    model, reader = encoder(EMBEDDED), reader_of(EMBEDDED)
    fresh = model(reader.read(["turns joyfully left"])).known.sum()
    model.train()(reader.read(["turns left", "bends"]))
    model.eval()
    said, plain = (model(reader.read([text])) for text in ("turns joyfully left", "turns left"))
    assert (fresh, said.known.sum(), plain.known.sum()) == (4, 3, 3)
    again = encoder(EMBEDDED)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(reader.read(["turns joyfully left"])).known, said.known)


class Tower:
    """A stand-in for CLIP: every word of a text is a vector of ones."""

    width = 12

    def words(self, texts: list[str]) -> torch.Tensor:
        vectors = torch.zeros(len(texts), 9, self.width)
        for row, text in enumerate(texts):
            vectors[row, : len(text.split()) + 2] = torch.arange(1.0, 13)
        return vectors


def test_the_words_of_clip_are_heard_and_an_empty_text_is_not(monkeypatch):
    monkeypatch.setattr(ClipText, "load", lambda path: Tower())
    config = TextConfig(encoder="clip", clip="tower", channels=12, words=6)
    read = reader_of(config).read(["turns left", "", "a b c d e f g"])
    assert read.shape == (3, 6, 12)
    assert encoder(config)(read).known.sum(dim=1).tolist() == [5, 1, 7]
    with pytest.raises(InputError, match=r"12 channels and the model hears 512"):
        reader_of(TextConfig(encoder="clip", clip="tower"))


@pytest.mark.parametrize(
    "read",
    [
        torch.zeros(2, 6),
        torch.zeros(2, 3, 512),
        torch.full((2, 6), 4096**2),
        torch.full((2, 6), -1),
        torch.zeros(6, dtype=torch.int64),
    ],
    ids=["floats", "clip", "too large", "negative", "one row"],
)
def test_what_another_reader_has_read_is_refused_in_one_line(read):
    with pytest.raises(InputError, match="reader_of of the model's own text") as caught:
        encoder(EMBEDDED)(read)
    assert "\n" not in str(caught.value)


def test_settings_that_do_not_fit_together_are_refused():
    with pytest.raises(ValidationError, match="go together"):
        TextConfig(encoder="clip")
    with pytest.raises(ValidationError, match="go together"):
        TextConfig(clip="weights")
    with pytest.raises(ValidationError, match="multiple of 8"):
        TextConfig(width=100)
