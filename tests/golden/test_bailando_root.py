"""The decoder of the root's velocity hangs on the poses, and gives the original's path."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.stage import stage
from duet_rl.compat.bailando_vqvae import original_keys, original_state, solo_codec
from duet_rl.pretrain.solo_tokenizer import TranslationLoss
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.smpl_body import smpl_joints
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_translation import leaving
from tests.golden import vqvae
from tests.golden.bailando_codec import POSE, ROOT, body, raw_decode, states, tokens
from tests.golden.files import needs

pytestmark = needs(POSE, ROOT)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return vqvae.read(ROOT)


@pytest.fixture
def codec() -> SoloCodec:
    codec = solo_codec(states(POSE, ROOT))
    codec.translation.start_height.zero_()  # where the original begins
    return codec


@pytest.fixture
def path(golden) -> Tensor:
    """Where the root was: the velocity that the original was shown, metres a frame, added up."""
    steps = body(golden["x"])[:, :, 0]
    return steps.cumsum(1) - steps


@pytest.fixture
def still(golden) -> Tensor:
    """The same dance without the velocity of the root."""
    dance = body(golden["x"]).clone()
    dance[:, :, 0] = 0
    return dance


def test_the_velocity_that_is_learned_is_the_originals(golden, codec, path):
    velocity = leaving(path, codec.config.fps) / codec.config.fps
    wanted = body(golden["x"])[:, :, 0].numpy()
    vqvae.assert_near(velocity, wanted, "velocity")
    positions = body(vqvae.read(POSE)["positions_abs"])[:, :, 0]
    own = leaving(positions, codec.config.fps) / codec.config.fps
    assert np.abs(own.numpy() - wanted).max() < 1e-6


def test_tokens_do_not_know_of_the_velocity(golden, codec, still):
    assert golden["z_equal_to_zero_root"].all()
    assert torch.equal(codec.pose.encode_body(still), tokens(golden))


def test_the_loss_is_the_originals(golden, codec, path):
    codes = codec.pose.codes(tokens(golden))
    with torch.no_grad():
        total, metrics = codec.translation.decoding_loss(codes, path)
    vqvae.assert_near(total, golden["loss_eval"], "loss")
    terms = golden["metric_down/velocity_loss"] + golden["metric_down/acceleration_loss"]
    vqvae.assert_near(metrics["loss/velocity"], np.asarray(terms), "terms")


def test_decoding_is_the_originals(golden, codec):
    rows = tokens(golden)
    codes = codec.pose.codes(rows)
    with torch.no_grad():
        velocity = codec.translation.velocity(codes)
    decoded = raw_decode(codec.pose, rows).unflatten(-1, (-1, 3))
    decoded[:, :, 0] = velocity / codec.config.fps
    vqvae.assert_near(decoded.flatten(2), golden["decode"], "decode")
    place = codec.path(velocity)
    decoded[:, :, 0] = place
    vqvae.assert_near(decoded.flatten(2), golden["decode_integrated"], "integrated")
    absolute = codec.pose.decode(rows) + place[:, :, None]
    vqvae.assert_near(absolute.flatten(2), golden["decode_absolute"], "absolute")


def test_a_dance_is_every_second_frame_of_the_originals(golden, codec):
    rows = tokens(golden)
    floor = stage(4 * rows.shape[1])
    leader = MotionBatch(*(x.expand(len(rows), *x.shape) for x in (floor.joints, floor.rotations)))
    ours = smpl_joints(codec.decode(rows, leader).joints)
    wanted = body(golden["decode_absolute"])[:, ::2]
    vqvae.assert_near(ours, wanted.numpy(), "joints")


def test_only_the_velocity_decoder_learns(golden, codec, path):
    before = {name: tensor.clone() for name, tensor in codec.pose.state_dict().items()}
    module = TranslationLoss(codec.translation, codec.pose).train()
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3)
    total, _ = codec.translation.decoding_loss(codec.pose.codes(tokens(golden)), path)
    total.backward()
    keys = original_keys(codec)
    learned = {theirs for theirs, ours in keys.items() if _gradient(codec, ours) is not None}
    assert learned == set(golden["params_with_grad"].tolist())
    for name in golden:
        if name.startswith("grad/"):
            gradient = _gradient(codec, keys[name.removeprefix("grad/")])
            assert gradient is not None
            vqvae.assert_near(gradient, golden[name], name)
    optimiser.step()
    assert golden["stage1_weights_unchanged"]
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in codec.pose.state_dict().items()
    )


def test_weights_go_back_as_they_came(golden, codec):
    theirs = states(POSE, ROOT)
    ours = original_state(codec)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    new = theirs.keys() - states(POSE).keys()
    assert new == set(golden["missing_keys"].tolist())
    assert sum(p.numel() for p in codec.parameters()) == int(golden["n_params"])


def _gradient(codec: SoloCodec, name: str) -> Tensor | None:
    return dict(codec.named_parameters())[name].grad if not name.endswith("codebook") else None
