"""PGR2M's base transformer gives the numbers of the original: logits, loss, clips, corruption."""

import pytest
import torch

from duet_rl.compat.pgr2m import pgr2m_gpt
from duet_rl.errors import InputError
from duet_rl.models.pgr2m import PoseCodeGPT, bit_loss
from duet_rl.models.pgr2m_rows import END, corrupt_bits, rows_of, tokens_of
from duet_rl.models.policy import SamplingConfig
from tests.golden.files import needs
from tests.golden.pgr2m_networks import (
    CLASSES,
    FOLDER,
    Golden,
    assert_near,
    read,
    state_of,
)
from tests.golden.pgr2m_networks import rows_of as unpacked

FILE = FOLDER / "base_transformer.npz"
BITS = sum(CLASSES) + 2
GREEDY = SamplingConfig(temperature=0)

pytestmark = needs(FILE)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read(FILE)


@pytest.fixture(scope="module")
def gpt(golden: Golden) -> PoseCodeGPT:
    return pgr2m_gpt(state_of(golden), CLASSES, heads=int(golden["cfg_heads"]))


def test_the_sizes_are_those_of_the_file(golden, gpt):
    config = gpt.config
    assert config.prompt_steps + config.steps == golden["cfg_block"]
    assert config.layers == golden["cfg_trunk_layers"] + golden["cfg_head_layers"]
    assert (config.width, config.prompt_channels) == (golden["cfg_dim"], golden["cfg_text_dim"])


def test_rows_with_their_ends_are_the_originals(golden):
    rows = unpacked(golden["tokens"], BITS)
    assert rows_of(tokens_of(rows, CLASSES), CLASSES, golden["tok_lengths"]).equal(rows)


@torch.no_grad()
def test_logits_are_the_originals(golden, gpt):
    rows = unpacked(golden["tokens"], BITS)[:, :-1]
    assert_near(gpt.predict(golden["text"][:2], rows[:2]), golden["logits"])
    assert_near(gpt.predict(golden["text"], rows[:, :0]), golden["logits_prompt_only"])


@torch.no_grad()
def test_the_loss_is_the_originals(golden, gpt):
    rows = unpacked(golden["tokens"], BITS)
    logits = gpt(golden["text"], rows[:, :-1])
    assert_near(bit_loss(logits, rows, golden["tok_lengths"]), golden["loss"], 1e-6)


def test_clips_are_the_originals_row_by_row(golden, gpt):
    sampled = gpt.sample(golden["text"], GREEDY)
    assert sampled.rows.equal(unpacked(golden["greedy_fast"], BITS))
    assert sampled.lengths.equal(golden["greedy_lengths"])


def test_a_clip_by_itself_ends_where_the_original_ends(golden, gpt):
    for i, text in enumerate(golden["text"]):
        sampled = gpt.sample(text[None], GREEDY)
        length = int(sampled.lengths[0])
        assert sampled.rows[:, :length].equal(unpacked(golden[f"greedy_{i}"], BITS))
        ended = sampled.rows.shape[1] > length
        assert not ended or sampled.rows[0, length, END] == 1


def test_corrupted_input_is_the_originals(golden):
    rows = unpacked(golden["tokens"], BITS)[:1, :-1]
    keep = unpacked(golden["corrupt_mask"], BITS).bool()
    found = corrupt_bits(rows, keep, golden["corrupt_noise"].float(), CLASSES)
    assert found.equal(unpacked(golden["corrupt_out"], BITS))


def test_heads_that_nobody_tells_are_asked_for(golden):
    with pytest.raises(InputError, match="say how many"):
        pgr2m_gpt(state_of(golden), CLASSES)
    told = pgr2m_gpt(state_of(golden), CLASSES, stored={"num_heads": 4})
    assert told.config.heads == 4


def test_a_checkpoint_with_a_tensor_of_another_shape_is_refused(golden):
    state = state_of(golden)
    state["trans_base.blocks.1.mlp.0.bias"] = torch.zeros(3)
    with pytest.raises(InputError, match=r"blocks.1.mlp.0.bias \(3,\), wanted \(128,\)"):
        pgr2m_gpt(state, CLASSES, heads=4)


def test_positions_of_another_kind_are_refused(golden):
    state = state_of(golden)
    state["trans_base.pos_embed.embed"] = torch.zeros_like(state["trans_base.pos_embed.embed"])
    with pytest.raises(InputError, match="fixed positions"):
        pgr2m_gpt(state, CLASSES, heads=4)
