"""A follower converted from the original's files gives the original's tokens and logits."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.compat.gpt import STREAMS
from duet_rl.compat.vqvae import PART_NAMES
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.mocap.axes import turn_to_y_up
from duet_rl.models.duolando import LEADER_STREAMS
from duet_rl.tokenizers.frames import MotionBatch
from tests.cli.conftest import run
from tests.compat.originals import write_all
from tests.golden import vqvae
from tests.golden.files import GOLDEN, needs

FILES = [GOLDEN / "duolando" / f"{name}.npz" for name in ("pose_vq", "transl_vq", "gpt")]
Z_UP = turn_to_y_up(torch.zeros(3), "z")  # the golden motion has z up

pytestmark = needs(*FILES)


@pytest.fixture(scope="module")
def arrays() -> list[dict[str, np.ndarray]]:
    return [vqvae.read(file) for file in FILES]


@pytest.fixture(scope="module")
def follower(arrays, tmp_path_factory: pytest.TempPathFactory) -> Follower:
    pose, translation, gpt = arrays
    sizes = {int(pose["cfg_bins"]), int(translation["cfg_bins"]), int(gpt["cfg_vocab"])}
    if len(sizes) > 1:
        pytest.skip(f"these golden models have codebooks of {sizes} codes and make no follower")
    folder = tmp_path_factory.mktemp("golden")
    stored = (
        {"structure": {"up_half": vqvae.stored_config(pose)}},
        {"structure": vqvae.stored_config(translation)},
        {"structure_generate": {"n_head": int(gpt["cfg_heads"])}},
    )
    files = write_all(folder, [vqvae.original_state(golden) for golden in arrays], stored)
    result = run("convert", "duolando", *files.options, "--out", folder / "follower")
    assert result.exit_code == 0, result.output
    return load_follower(folder / "follower")


def y_up(joints: Tensor, rotations: Tensor) -> MotionBatch:
    rotations = rotations.clone()
    rotations[:, :, 0] = Z_UP @ rotations[:, :, 0]
    return MotionBatch(joints @ Z_UP.mT, rotations)


def test_poses_are_tokenized_as_before(arrays, follower):
    golden = arrays[0]
    joints = torch.from_numpy(golden["in/pos3d_raw"]).unflatten(-1, (NUM_JOINTS, 3))
    rotations = torch.from_numpy(golden["in/rotmat"].astype(np.float32))
    motion = y_up(joints, rotations.unflatten(-1, (NUM_JOINTS, 3, 3)))
    tokens = follower.codec.pose.encode(motion)
    for index, name in enumerate(PART_NAMES.values()):
        wanted, margin = golden[f"enc/{name}"], golden[f"enc_margin/{name}"]
        vqvae.assert_tokens(tokens[..., index], wanted, margin, name)


def test_places_are_tokenized_as_before(arrays, follower):
    golden = arrays[1]
    leader, partner = (
        y_up(
            torch.from_numpy(golden[f"in/root_{dancer}"])[:, :, None].repeat(1, 1, NUM_JOINTS, 1),
            torch.eye(3).repeat(*golden[f"in/root_{dancer}"].shape[:2], NUM_JOINTS, 1, 1),
        )
        for dancer in ("leader", "follower")
    )
    tokens = follower.codec.placement.encode(leader, partner)[..., 0]
    vqvae.assert_tokens(tokens, golden["enc/tokens"], golden["enc_margin"], "tokens")


def test_a_dance_is_decoded_as_before(arrays, follower):
    pose, translation, _ = arrays
    if pose["enc/up"].shape != translation["enc/tokens"].shape:
        pytest.skip("the golden poses and places are not of equally many frames")
    names = [f"enc/{name}" for name in PART_NAMES.values()]
    rows = [*(pose[name] for name in names), translation["enc/tokens"]]
    root = torch.from_numpy(translation["in/root_leader"])
    joints = root[:, :, None].repeat(1, 1, NUM_JOINTS, 1)
    leader = y_up(joints, torch.eye(3).repeat(*joints.shape[:3], 1, 1))
    tokens = torch.stack([torch.from_numpy(row) for row in rows], dim=-1)
    decoded = follower.codec.decode(tokens, leader)
    place = root + torch.from_numpy(translation["dec/transl"]) / 20
    body = torch.from_numpy(pose["dec/pos"]).unflatten(-1, (NUM_JOINTS, 3)).clone()
    for wrist, hand in ((20, slice(25, 40)), (21, slice(40, 55))):  # spec 1.4
        body[:, :, hand] = 0.1 * body[:, :, hand] + body[:, :, wrist, None]
    body[:, :, 0] = 0
    vqvae.assert_near(decoded.joints @ Z_UP, (body + place[:, :, None]).numpy(), "joints")
    first = pose["dec/rot_first8_closest"]
    rotations = decoded.rotations[:, : first.shape[1]].clone()
    rotations[:, :, 0] = Z_UP.mT @ rotations[:, :, 0]
    vqvae.assert_near(rotations.flatten(2), first, "rotations")
    metres_a_frame = decoded.root_velocity @ Z_UP / follower.codec.config.frame.fps
    vqvae.assert_near(metres_a_frame, pose["dec/vel"], "velocity")


def test_logits_are_as_before(arrays, follower):
    golden = arrays[2]
    tokens = torch.stack([torch.from_numpy(golden[f"in/tokens/{k}"]) for k in STREAMS], dim=-1)
    led = [torch.from_numpy(golden[f"in/cond/{k}"]) for k in STREAMS[:LEADER_STREAMS]]
    music = torch.from_numpy(golden["in/cond/music"])
    with torch.no_grad():
        logits = follower.model.predict(tokens, music, torch.stack(led, dim=-1))
    for name, stream in zip(STREAMS, logits, strict=True):
        vqvae.assert_near(stream, golden[f"out/logits/{name}"], name)
