"""PGR2M's refine transformer gives the numbers of the original: logits, loss, codes, motion."""

import pytest
import torch
from torch import Tensor

from duet_rl.compat.pgr2m import pgr2m_gpt
from duet_rl.compat.pgr2m_refine import pgr2m_refine
from duet_rl.compat.pgr2m_tokenizer import pgr2m_tokenizer
from duet_rl.errors import InputError
from duet_rl.models.pgr2m_refine import RefineTransformer, refine_loss
from duet_rl.models.pgr2m_rows import tokens_of
from duet_rl.models.policy import SamplingConfig
from tests.golden.files import needs
from tests.golden.pgr2m_networks import (
    CLASSES,
    FOLDER,
    Golden,
    assert_near,
    read,
    rows_of,
    state_of,
)

KINDS = ("share", "separate")
FILES = {kind: FOLDER / f"refine_transformer_{kind}.npz" for kind in KINDS}
BASE, TOKENIZER = FOLDER / "base_transformer.npz", FOLDER / "pg_tokenizer_soft.npz"
BITS = sum(CLASSES) + 2
GREEDY = SamplingConfig(temperature=0)
FREE_CLIPS, FREE_ROWS = 2, 30  # of which the greedy codes are stored

pytestmark = needs(*FILES.values(), BASE, TOKENIZER)


@pytest.fixture(scope="module", params=KINDS)
def golden(request: pytest.FixtureRequest) -> Golden:
    return read(FILES[request.param])


@pytest.fixture
def refine(golden: Golden) -> RefineTransformer:
    return pgr2m_refine(state_of(golden), CLASSES, heads=int(golden["cfg_heads"]))


def free(golden: Golden) -> tuple[Tensor, Tensor]:
    """Return the prompts and rows of clips that are refined from nothing but pose codes."""
    rows = rows_of(golden["pose_tokens"], BITS)
    return golden["text"][:FREE_CLIPS], rows[:FREE_CLIPS, :FREE_ROWS]


def test_the_sizes_are_those_of_the_file(golden, refine):
    config = refine.config
    assert (config.width, config.prompt_channels) == (golden["cfg_dim"], golden["cfg_text_dim"])
    assert (config.layers, config.levels) == (golden["cfg_layers"], golden["cfg_levels"])
    assert config.codes == golden["cfg_bins"]


@torch.no_grad()
def test_logits_and_loss_are_the_originals(golden, refine):
    rows, tokens = rows_of(golden["pose_tokens"], BITS), golden["res_indices"].long()
    level, lengths = golden["active_q"], golden["tok_lengths"]
    hidden = refine.states(golden["text"], rows, tokens, level, lengths)
    logits, seen = refine.logits(hidden, level), golden["pad_mask"] > 0
    assert seen.sum(1).equal(lengths + refine.config.prompt_steps + 1)
    assert_near(logits[seen], golden["logits"][seen])
    said = refine(golden["text"], rows, tokens, level, lengths)
    assert_near(refine_loss(said, tokens, level, lengths), golden["loss"], 1e-6)
    assert golden["target"][0].equal(golden["res_indices"][0, :, int(level[0])])


@torch.no_grad()
def test_greedy_codes_are_the_originals_level_by_level(golden, refine):
    prompt, rows = free(golden)
    tokens = refine.sample(prompt, rows)
    assert tokens.equal(golden["infer_indices"].long())
    rows[..., -2:] = 0
    for index, wanted in enumerate(golden["infer_logits"]):
        logits = refine(prompt, rows, tokens, torch.full((FREE_CLIPS,), index))
        assert_near(logits[..., : refine.config.codes], wanted)


def test_the_motion_of_refined_codes_is_the_originals():
    golden, tokenizer = read(FILES["share"]), read(TOKENIZER)
    refine = pgr2m_refine(state_of(golden), CLASSES, heads=4)
    prompt, rows = free(golden)
    decoder = pgr2m_tokenizer(state_of(tokenizer), CLASSES)
    with torch.no_grad():
        motion = decoder.decode(tokens_of(rows, CLASSES), refine.sample(prompt, rows))
    assert_near(motion, golden["infer_motion"])


def test_from_a_prompt_to_all_codes_is_the_originals():
    golden, base = read(FILES["share"]), read(BASE)
    gpt = pgr2m_gpt(state_of(base), CLASSES, heads=4)
    refine = pgr2m_refine(state_of(golden), CLASSES, heads=4)
    prompt = golden["text"][:1]
    sampled = gpt.sample(prompt, GREEDY)
    rows = sampled.rows[:, : int(sampled.lengths[0])]
    assert rows.equal(rows_of(golden["sample_pose"], BITS))
    assert refine.sample(prompt, rows).equal(golden["sample_res"].long())


def test_tensors_that_are_named_twice_may_be_there():
    golden = read(FILES["share"])
    state = state_of(golden)
    aliases = {f"trans_base.{k}": v for k, v in state.items() if k.startswith("proc_in.")}
    whole = pgr2m_refine(state | aliases, CLASSES, heads=4)
    assert all(map(torch.equal, whole.parameters(), _parameters(state)))


def _parameters(state: Golden) -> list[Tensor]:
    return list(pgr2m_refine(state, CLASSES, heads=4).parameters())


def test_a_checkpoint_without_one_of_its_tensors_is_refused(golden):
    state = state_of(golden)
    del state["proc_in.quant_emb.bias"]
    with pytest.raises(InputError, match=r"missing: proc_in\.quant_emb\.bias"):
        pgr2m_refine(state, CLASSES, heads=4)
