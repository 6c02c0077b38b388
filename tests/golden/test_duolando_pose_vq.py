"""The pose tokenizer on the original's weights gives the original's numbers."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.rotations import matrix_to_axis_angle, project_to_rotation
from duet_rl.body.skeleton import NUM_JOINTS, PARTS
from duet_rl.compat.vqvae import PART_NAMES, original_keys, pose_tokenizer
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.pose import PoseTokenizer
from tests.golden import vqvae
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "pose_vq.npz"
HEAD_JOINTS = {"positions": 3, "rotations": 9}  # channels a joint

pytestmark = needs(FILE)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return vqvae.read(FILE)


@pytest.fixture
def tokenizer(golden) -> PoseTokenizer:
    return pose_tokenizer(vqvae.original_state(golden), vqvae.stored_config(golden), up="y")


@pytest.fixture
def motion(golden) -> MotionBatch:
    joints = torch.from_numpy(golden["in/pos3d_raw"]).unflatten(-1, (NUM_JOINTS, 3))
    rotations = torch.from_numpy(golden["in/rotmat"].astype(np.float32))
    return MotionBatch(joints, rotations.unflatten(-1, (NUM_JOINTS, 3, 3)))


def part_channels(flat: np.ndarray, part: str, head: str) -> Tensor:
    """The channels of one part of a `(B, T, C)` array, channels first."""
    joints = torch.from_numpy(flat.astype(np.float32)).unflatten(-1, (NUM_JOINTS, -1))
    assert joints.shape[-1] == HEAD_JOINTS[head]
    return joints[:, :, list(PARTS[part])].flatten(2).mT


def test_normalisation_is_the_originals(golden, tokenizer, motion):
    features = tokenizer.frame.features(motion)
    positions = features.positions.permute(0, 3, 1, 2)
    vqvae.assert_near(positions.flatten(2), golden["in/pos3d"], "positions")
    with_root = torch.cat([motion.joints[:, :, :1], positions[:, :, 1:]], dim=2)
    vqvae.assert_near(with_root.flatten(2), golden["in/pos3d_normalised_with_root"], "root kept")
    rotations = features.rotations.permute(0, 3, 1, 2).flatten(2)
    vqvae.assert_near(rotations, golden["in/rotmat"].astype(np.float32), "rotations")
    vqvae.assert_near(features.root_velocity.mT, golden["in/xshift"], "velocity")


def test_normalisation_has_an_inverse(golden, tokenizer, motion):
    frame = tokenizer.frame
    positions = torch.from_numpy(golden["in/pos3d"]).unflatten(-1, (NUM_JOINTS, 3))
    heading = torch.zeros(positions.shape[:2])
    root = motion.joints[:, :, 0]
    joints = frame.joints(positions, motion.rotations, heading, root)
    vqvae.assert_near(joints.flatten(2), golden["in/pos3d_raw"], "joints")


def test_encoding_is_the_originals(golden, tokenizer, motion):
    positions = tokenizer.frame.positions(motion, "follower")
    tokens = tokenizer.encode(motion)
    for index, (part, name) in enumerate(PART_NAMES.items()):
        channels = positions[:, list(PARTS[part])].flatten(1, 2)
        channels[:, :3] = 0
        latents = tokenizer.parts[part].encoder(channels)
        vqvae.assert_near(latents, golden[f"enc_latent/{name}"], part)
        wanted, margin = golden[f"enc/{name}"], golden[f"enc_margin/{name}"]
        vqvae.assert_tokens(tokens[..., index], wanted, margin, part)


def test_decoding_is_the_originals(golden, tokenizer):
    tokens = torch.stack(
        [torch.from_numpy(golden[f"enc/{name}"]) for name in PART_NAMES.values()], dim=-1
    )
    with torch.no_grad():
        decoded = tokenizer.decode(tokens)
    vqvae.assert_near(decoded.positions.flatten(2), golden["dec/pos"], "positions")
    vqvae.assert_near(decoded.rotations.flatten(2), golden["dec/rot"], "rotations")
    metres_a_frame = decoded.root_velocity / tokenizer.config.frame.fps
    vqvae.assert_near(metres_a_frame, golden["dec/vel"], "velocity")


def test_decoded_matrices_become_the_originals_rotations(golden, tokenizer):
    wanted = golden["dec/rot_first8_closest"]
    decoded = torch.from_numpy(golden["dec/rot"])[:, : wanted.shape[1]].unflatten(-1, (-1, 3, 3))
    closest = project_to_rotation(decoded)
    vqvae.assert_near(closest.flatten(2), wanted, "closest rotations")
    angles = matrix_to_axis_angle(closest)
    vqvae.assert_near(angles, golden["dec/rot_first8_aa"], "axis-angle")
    heading = torch.zeros(decoded.shape[:2])
    local = tokenizer.frame.local_rotations(decoded.flatten(3), heading)
    assert torch.equal(local, closest)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_losses_are_the_originals(golden, tokenizer, motion, mode):
    tokenizer.train(mode == "train")
    total, metrics = tokenizer.loss(motion)
    vqvae.assert_near(total, golden[f"{mode}/loss_total"], "total")
    for part, name in PART_NAMES.items():
        terms = [value for key, value in metrics.items() if key.startswith(f"loss/{part}_")]
        vqvae.assert_near(sum(terms), golden[f"{mode}/{name}/loss"], part)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_each_term_of_the_losses_is_the_originals(golden, tokenizer, motion, mode):
    tokenizer.train(mode == "train")
    for part, name in PART_NAMES.items():
        wanted = {head: part_channels(golden[f"in/{f}"], part, head) for head, f in _INPUTS.items()}
        with torch.no_grad():
            out = tokenizer.parts[part](wanted["positions"], {})
        latents = tokenizer.parts[part].encoder(wanted["positions"])
        vqvae.assert_near(latents, golden[f"train/{name}/prequant"], part)
        errors = [out.heads[head] - wanted[head] for head in wanted]
        root = torch.from_numpy(golden["in/xshift"]).mT
        root_error = out.heads["velocity"] - root if part == "lower" else None
        for term, value in vqvae.losses(errors, root_error).items():
            vqvae.assert_near(value, golden[f"{mode}/{name}/{term}"], f"{part} {term}")
        bend = out.heads["rotations"].diff(2, dim=-1).square().mean()
        vqvae.assert_near(bend, golden[f"{mode}/{name}/regularization"], part)
        vqvae.assert_near(out.commit_loss, golden[f"{mode}/{name}/commit"], part)
        margin = golden[f"eval/{name}/margin"]
        vqvae.assert_tokens(out.tokens[..., 0], golden[f"{mode}/{name}/tokens"], margin, part)


def test_a_pass_without_training_reconstructs_as_the_original(golden, tokenizer):
    heads = {}
    for part in PARTS:
        channels = part_channels(golden["in/pos3d"], part, "positions")
        with torch.no_grad():
            heads[part] = tokenizer.parts[part](channels, {}).heads
    shown = torch.from_numpy(golden["eval/xout"])
    for part in ("upper", "lower"):  # the original shows the hands that it was given
        wanted = part_channels(shown.numpy(), part, "positions")
        vqvae.assert_near(heads[part]["positions"], wanted.numpy(), part)
    vqvae.assert_near(heads["lower"]["velocity"].mT, golden["eval/xshift"], "velocity")
    rotations = torch.cat([heads[part]["rotations"] for part in PARTS], dim=1)
    vqvae.assert_near(rotations.abs().mean(), golden["eval/xrot_mean_abs"], "rotations")


def test_gradients_are_the_originals(golden, tokenizer, motion):
    total, _ = tokenizer.train().loss(motion)
    total.backward()
    vqvae.check_gradients(tokenizer, original_keys(tokenizer), golden)


def test_a_codebook_update_is_the_originals(golden, tokenizer):
    for part, name in PART_NAMES.items():
        vqvae.check_update(tokenizer.parts[part].quantizer.levels[0], golden, name)


def test_training_moves_the_averages_as_the_original(golden, tokenizer, motion):
    for part, name in PART_NAMES.items():
        vqvae.set_averages(tokenizer.parts[part].quantizer.levels[0], golden, name)
    tokenizer.train().loss(motion)
    for part, name in PART_NAMES.items():
        level = tokenizer.parts[part].quantizer.levels[0]
        vqvae.assert_near(level.ema_sum, golden[f"train/{name}/k_sum_after"], part)
        vqvae.assert_near(level.ema_count, golden[f"train/{name}/k_elem_after"], part)


_INPUTS = {"positions": "pos3d", "rotations": "rotmat"}
