"""Probes: followers of which it is known what they read, and how far ahead."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.heading import facing_angle
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import PARENTS, default_skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.evaluate.probes import PROBES, continued, future_reach, probe
from duet_rl.generate.follower import Follower
from duet_rl.generate.judged import stacked
from duet_rl.metrics.baselines import COUPLE_SMOOTHING, mirror_leader
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import FrameConfig
from duet_rl.tokenizers.tokenizer import DuetCodecConfig
from tests.datasets.conftest import make_clip

FRAMES = 120


@pytest.fixture(scope="module")
def clips() -> list[DuetClip]:
    return [make_clip(f"take{seed}", FRAMES, seed) for seed in range(3)]


def music_of(clips: Sequence[DuetClip]) -> Tensor:
    return stacked(clip.music for clip in clips)


def standing(clips: Sequence[DuetClip]) -> Tensor:
    return default_skeleton().rest_joints().expand(len(clips), clips[0].frames, 55, 3)


def deaf(clips: Sequence[DuetClip], seed: int) -> Tensor:
    """Sways as its seed says, whatever it is given."""
    generator = torch.Generator().manual_seed(seed)
    return standing(clips) + 0.1 * torch.randn(standing(clips).shape, generator=generator)


def remembering(clips: Sequence[DuetClip], seed: int) -> Tensor:
    """Dances what the true partner danced."""
    return stacked(clip.duet.follower.joints for clip in clips)


def carried(clips: Sequence[DuetClip], seed: int) -> Tensor:
    """Stands stiff before the leader, and goes and turns with him."""
    leader = stacked(clip.duet.leader.joints for clip in clips)
    turned = rotate_yaw(standing(clips), facing_angle(leader)[..., None])
    return turned + leader[:, :, :1]


def swinging(clips: Sequence[DuetClip], seed: int) -> Tensor:
    """Goes to the side as the music says, frame by frame, and lifts the wrists by the seed."""
    joints = standing(clips).clone()
    joints[..., 0] += music_of(clips)[..., :1]
    joints[:, :, 20:22, 1] += 0.1 * seed
    return joints


def averaging(before: int, after: int):
    """Return who does what leader and music do on average, from earlier to later frames."""

    def dance(clips: Sequence[DuetClip], seed: int) -> Tensor:
        joints = stacked(clip.duet.leader.joints for clip in clips).clone()
        joints[..., 0] += music_of(clips)[..., :1]
        rows = joints.flatten(2).mT  # (B, 165, T)
        padded = torch.nn.functional.pad(rows, (before, after), mode="replicate")
        mean = torch.nn.functional.avg_pool1d(padded, before + after + 1, stride=1)
        return mean.mT.reshape(joints.shape)

    return dance


def test_who_reads_nothing_is_moved_by_the_seed_alone(clips):
    found = probe(deaf, clips)
    for name in ("music_sensitivity", "leader_sensitivity", "future_reach"):
        assert (found[name] == 0).all()
    assert (found["seed_sensitivity"] > 0.1).all() and (found["seed_pose_sensitivity"] > 0.1).all()
    assert set(found) == set(PROBES)


def test_the_memory_of_the_true_partner_reads_nothing(clips):
    found = probe(remembering, clips, sampled=False)
    assert all((values == 0).all() for values in found.values())
    assert not any(name.startswith("seed") for name in found)


def test_to_be_carried_along_is_not_to_read_the_leader(clips):
    found = probe(carried, clips)
    torch.testing.assert_close(found["leader_sensitivity"], torch.zeros(3), atol=1e-5, rtol=0)
    averaged = probe(averaging(0, 0), clips)["leader_sensitivity"]
    assert (averaged > 0.02).all()


def test_sensitivities_are_distances_in_metres(clips):
    found = probe(swinging, clips)
    music = music_of(clips)[..., 0]
    wanted = (music - music.roll(-1, 0)).abs().mean(1)  # each clip hears the next one
    torch.testing.assert_close(found["music_sensitivity"], wanted)
    assert (found["leader_sensitivity"] == 0).all()
    both_wrists = torch.full((3,), 0.1 * 2 / 22)
    torch.testing.assert_close(found["seed_sensitivity"], both_wrists)
    torch.testing.assert_close(found["seed_pose_sensitivity"], both_wrists)


@pytest.mark.parametrize("after", [0, 1, 5, 12])
def test_the_reach_is_how_many_frames_ahead_a_follower_looks(clips, after):
    found = future_reach(averaging(7, after), clips)
    torch.testing.assert_close(found, torch.full((3,), after / FPS))


def test_who_knows_all_of_the_music_reaches_back_to_the_start(clips):
    def knowing(clips: Sequence[DuetClip], seed: int) -> Tensor:
        return standing(clips) + music_of(clips).mean((1, 2))[:, None, None, None] * 100

    assert (future_reach(knowing, clips) == 80 / FPS).all()  # two thirds of 120 frames


def test_a_clip_like_all_others_says_nothing(clips):
    for few in (clips[:1], [clips[0], clips[0]]):
        found = probe(averaging(3, 3), few)
        for name in ("music_sensitivity", "leader_sensitivity", "future_reach"):
            assert found[name].isnan().all()
    found = probe(averaging(3, 3), [clips[0], clips[0], clips[1]])
    assert not any(values.isnan().any() for values in found.values())


def test_a_future_alone_may_be_the_same(clips):
    """Two takes that differ in their first second only say nothing of the future."""
    other = make_clip("other", FRAMES, 7)
    clip = clips[0]
    music = torch.cat([other.music[:30], clip.music[30:]])
    duet = type(clip.duet)(continued(other.duet.leader, clip.duet.leader, 30), clip.duet.follower)
    alike = type(clip)(**{**vars(clip), "music": music, "duet": duet})
    found = probe(averaging(3, 3), [clip, alike])
    assert found["future_reach"].isnan().all()
    assert (found["music_sensitivity"] > 0).all() and (found["leader_sensitivity"] > 0).all()


def test_a_leader_goes_on_from_where_he_is_with_his_own_bones(clips):
    leader, other = clips[0].duet.leader, clips[1].duet.turned(2.0).leader
    made = continued(leader, other.moved((3.0, 0.0, 1.0)), 60)
    assert torch.equal(made.joints[:60], leader.joints[:60])
    there, wanted = made.joints[60], leader.joints[60]
    torch.testing.assert_close(there[0, [0, 2]], wanted[0, [0, 2]])
    facing, before = (facing_angle(x.joints)[60] for x in (made, leader))
    torch.testing.assert_close((facing - before).cos(), torch.ones(()))
    travel = other.root[61:] - other.root[60]
    torch.testing.assert_close(
        (made.root[61:] - made.root[60]).norm(dim=-1), travel.norm(dim=-1), atol=1e-5, rtol=1e-4
    )
    bones, own = (x.joints[60:, 1:] - x.joints[60:, list(PARENTS[1:])] for x in (made, leader))
    torch.testing.assert_close(bones.norm(dim=-1), own.norm(dim=-1))


def test_the_mirror_image_listens_to_the_leader_and_not_to_the_music(clips):
    def mirrored(clips: Sequence[DuetClip], seed: int) -> Tensor:
        return stacked(mirror_leader(clip.duet.leader, 0.7).joints for clip in clips)

    found = probe(mirrored, clips, sampled=False)
    assert (found["music_sensitivity"] == 0).all() and (found["leader_sensitivity"] > 0.02).all()
    # It smooths the leader's heading and path with a Gaussian that looks ahead.
    assert (found["future_reach"] > 0).all()
    assert (found["future_reach"] < 4 * COUPLE_SMOOTHING).all()


@pytest.fixture(scope="module")
def causal_follower() -> Follower:
    """An untrained follower of which no part looks ahead, but for its conditions, two tokens."""
    torch.manual_seed(0)
    codec = DuetCodec(DuetCodecConfig(frame=FrameConfig(causal=True)))
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):  # an untrained one has one code for all
            codebook.normal_()
    conditions = (
        ConditionConfig(name="music", channels=MUSIC_DIMS, look_ahead=2),
        ConditionConfig(name="leader", channels=codec.leader_channels, look_ahead=2),
    )
    model = MultiStreamGPT(
        MultiStreamGPTConfig(
            classes=codec.spec.classes, conditions=conditions, width=16, layers=1, heads=2
        )
    )
    for weight in model.parameters():
        weight.data *= 4  # so that it listens to what it is told
    return Follower(codec.eval(), model.eval(), {})


@pytest.mark.parametrize(("look_ahead", "tokens"), [(0, 0), (1, 1), (None, 2)])
def test_a_causal_follower_sees_as_far_ahead_as_its_conditions(
    causal_follower, clips, look_ahead, tokens
):
    def dance(clips: Sequence[DuetClip], seed: int) -> Tensor:
        leaders = [clip.duet.leader for clip in clips]
        return causal_follower.dance(leaders, music_of(clips), seed, look_ahead=look_ahead).joints

    with torch.no_grad():
        reach = future_reach(dance, clips).amax().item()
    assert reach == pytest.approx(4 * tokens / FPS)
