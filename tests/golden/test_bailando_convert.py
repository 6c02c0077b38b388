"""A soloist converted from the original's files gives the original's tokens, logits and joints."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.stage import stage
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.smpl_body import smpl_joints
from duet_rl.tokenizers.solo import SoloCodec
from tests.cli.conftest import run
from tests.compat.bailando_originals import HUNG, VQ_STORED
from tests.compat.originals import write
from tests.golden import vqvae
from tests.golden.bailando import assert_close, frames_of, halves
from tests.golden.bailando_codec import MIX, POSE, ROOT, body, states, tokens
from tests.golden.files import GOLDEN, needs

GPT, CRITIC, PLUS = (
    GOLDEN / "bailando" / f"{name}.npz"
    for name in ("cross_cond_gpt2", "actor_critic", "pp_gpt_music_window")
)

pytestmark = needs(POSE, ROOT, MIX, GPT, CRITIC, PLUS)


def convert(folder: Path, codec: dict[str, Tensor], gpt: dict[str, Tensor], heads: int) -> Follower:
    poses = {name: x for name, x in codec.items() if not any(mark in name for mark in HUNG)}
    words: list[object] = []
    stored = {"structure_generate": {"n_head": heads}}
    for name, state, config in (
        ("pose", poses, VQ_STORED),
        ("root", codec, VQ_STORED),
        ("gpt", gpt, stored),
    ):
        words += [f"--{name}", write(folder / f"{name}.pt", state, config)]
    result = run("convert", "bailando", *words, "--out", folder / "soloist")
    assert result.exit_code == 0, result.output
    return load_follower(folder / "soloist")


def require_one_size(codec: Path, gpt: Path) -> None:
    codes = vqvae.read(codec)["sd/vqvae_up.bottleneck.level_blocks.0.k"]
    table = vqvae.read(gpt)["sd/gpt_base.tok_emb_up.weight"]
    if len(codes) != len(table):
        pytest.skip(f"these golden models have {len(codes)} and {len(table)} codes")


@pytest.fixture(scope="module")
def refined(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    """Of the actor-critic stage: the GPT with its critic."""
    require_one_size(POSE, GPT)
    heads = int(vqvae.read(GPT)["cfg_head"])
    folder = tmp_path_factory.mktemp("refined")
    return convert(folder, states(POSE, ROOT), states(GPT, CRITIC), heads)


def test_a_dance_begins_with_the_token_that_it_began_with(refined):
    golden = vqvae.read(CRITIC)
    found = 0
    while f"dance_{found}" in golden:
        dance = torch.from_numpy(golden[f"dance_{found}"])[None]
        whole = dance[:, : dance.shape[1] // 8 * 8]
        first = refined.codec.pose.encode_body(whole - whole[:, :, :1])[0, 0]
        rows = [golden[f"rollout_{name}_{found}"][0] for name in ("up", "down")]
        assert first.tolist() == rows
        found += 1
    assert found


def test_logits_are_as_before(refined):
    golden = vqvae.read(GPT)
    music = frames_of(golden["music"], refined.model.config.frames_per_token)
    with torch.no_grad():
        logits = refined.model.predict(halves(golden, "idx_{}"), music)
    assert_close(torch.stack(logits, -1), halves(golden, "logits_{}"))


def test_joints_are_as_before(refined):
    golden, codec = vqvae.read(ROOT), refined.codec
    assert isinstance(codec, SoloCodec)
    rows = tokens(golden)
    floor = stage(4 * rows.shape[1])
    leader = MotionBatch(*(x.expand(len(rows), *x.shape) for x in (floor.joints, floor.rotations)))
    ours = smpl_joints(codec.decode(rows, leader).joints)
    height = torch.tensor([0.0, float(codec.translation.start_height), 0.0])
    wanted = body(golden["decode_absolute"])[:, ::2] + height
    vqvae.assert_near(ours, wanted.numpy(), "joints")


def test_bailando_plus_plus_arrives_too(tmp_path: Path):
    require_one_size(MIX, PLUS)
    golden = vqvae.read(PLUS)
    follower = convert(tmp_path, states(MIX), states(PLUS), int(golden["cfg_head"]))
    assert follower.codec.config.rotations
    assert follower.model.config.hears == "bailando_pp"
    theirs = vqvae.read(MIX)
    dance = body(theirs["x"]).clone()
    dance[:, :, 0] = 0
    assert np.array_equal(follower.codec.pose.encode_body(dance), tokens(theirs))
