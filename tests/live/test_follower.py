"""A dance made while the leader still dances is the dance that the whole clip gives."""

import dataclasses

import pytest
import torch
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import default_skeleton
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower
from duet_rl.live.follower import FollowerFrames, LiveFollower
from duet_rl.live.settings import LiveConfig
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.follower import build_gpt
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.models.policy import SamplingConfig
from tests.live.conftest import make_follower

SAME = 1e-4  # m
FREE = 100.0  # m a frame: a guard that holds nobody back


def dance(live: LiveFollower, leader: Tensor, music: Tensor | None, each: int) -> Tensor:
    """Feed a leader `each` frames at a time; return all joints of the follower."""
    parts: list[FollowerFrames] = []
    for start in range(0, len(leader), each):
        cut = slice(start, start + each)
        parts.append(live.step(leader[cut], None if music is None else music[cut]))
    parts.append(live.finish())
    shown = 0
    for part in parts:
        assert part.first == shown
        shown += len(part.joints)
    return torch.cat([part.joints for part in parts])


def whole(follower: Follower, leader: Tensor, music: Tensor, ahead: object, seed: int) -> Tensor:
    still = torch.eye(3).expand(*leader.shape[:2], 3, 3)
    motion = Motion(leader, still, default_skeleton())
    sampling = SamplingConfig(temperature=0.8)
    return follower.dance([motion], music[None], seed, sampling, ahead).joints[0]


@pytest.mark.parametrize("each", [1, 3, 120])
@pytest.mark.parametrize("look_ahead", [0, 2])
def test_frame_by_frame_is_the_whole_clip(
    follower: Follower, leader: Tensor, music: Tensor, each: int, look_ahead: int
) -> None:
    live = LiveFollower(follower, LiveConfig(look_ahead=look_ahead, step=FREE), seed=5)
    danced = dance(live, leader, music, each)
    wanted = whole(follower, leader, music, look_ahead, seed=5)
    torch.testing.assert_close(danced, wanted, atol=SAME, rtol=0)


def test_a_known_song_is_heard_ahead(follower: Follower, leader: Tensor, music: Tensor) -> None:
    live = LiveFollower(follower, LiveConfig(step=FREE), song=music, seed=5)
    danced = dance(live, leader, None, each=1)
    wanted = whole(follower, leader, music, {"leader": 0, "music": 4}, seed=5)
    # Near its end a clip has no future, and a song that is over has silence.
    torch.testing.assert_close(danced[:-16], wanted[:-16], atol=SAME, rtol=0)


@pytest.mark.parametrize("look_ahead", [0, 3])
def test_frames_come_as_late_as_is_said(
    follower: Follower, leader: Tensor, look_ahead: int
) -> None:
    live = LiveFollower(follower, LiveConfig(look_ahead=look_ahead))
    for number, frame in enumerate(leader):
        came = live.step(frame[None])
        if came.joints.shape[0]:
            assert came.first == number - live.lag


def test_no_more_is_waited_for_than_the_model_can_know(follower: Follower, leader: Tensor) -> None:
    live = LiveFollower(follower, LiveConfig(look_ahead=29))
    assert (live.look_ahead, live.lag) == (4, 19)
    assert len(live.step(leader[:20]).joints) == 4


def test_a_song_that_ends_before_the_leader_leaves_silence(
    follower: Follower, leader: Tensor, music: Tensor
) -> None:
    live = LiveFollower(follower, LiveConfig(step=FREE), song=music[:37], seed=5)
    danced = dance(live, leader, None, each=4)
    rest = torch.cat([music[:37], torch.zeros(len(leader) - 37, music.shape[1])])
    again = LiveFollower(follower, LiveConfig(step=FREE), song=rest, seed=5)
    torch.testing.assert_close(danced, dance(again, leader, None, each=4))


def test_the_dial_turns_in_the_midst_of_a_dance(follower: Follower, leader: Tensor) -> None:
    live = LiveFollower(follower, LiveConfig(look_ahead=4))
    shown = len(live.step(leader[:60]).joints)
    assert shown == 60 - 16
    live.set_dials(look_ahead=0)
    for frame in leader[60:100]:
        shown += len(live.step(frame[None]).joints)
    assert shown == 100  # it has caught up
    live.set_dials(look_ahead=2)
    shown += len(live.step(leader[100:]).joints)
    assert shown == 120 - 8
    assert len(live.finish().joints) == 8


def test_a_codec_that_looks_ahead_shows_a_token_later_what_a_window_gives(
    leader: Tensor, music: Tensor
) -> None:
    follower = make_follower(causal=False)
    live = LiveFollower(follower, LiveConfig(delay=1, window=16, step=FREE), seed=5)
    shown = len(live.step(leader[:40], music[:40]).joints)
    assert shown == 36
    rest = live.step(leader[40:], music[40:]).joints
    assert shown + len(rest) + len(live.finish().joints) == len(leader)


def test_windows_of_a_codec_that_looks_ahead_meet_without_a_jump(
    leader: Tensor, music: Tensor
) -> None:
    follower = make_follower(causal=False)
    with_seams = dance(
        LiveFollower(follower, LiveConfig(delay=1, window=8), seed=5), leader, music, each=4
    )
    bones = with_seams[:, 4] - with_seams[:, 1]  # hip to knee
    torch.testing.assert_close(bones.norm(dim=-1), bones.norm(dim=-1)[:1].expand(len(bones)))
    steps = with_seams[1:, 0] - with_seams[:-1, 0]
    seams, inside = steps[3::4].norm(dim=-1), steps[1::4].norm(dim=-1)
    assert seams.max() < 3 * inside.max()


def test_a_leader_with_nan_is_refused_and_the_dance_goes_on(
    follower: Follower, leader: Tensor
) -> None:
    live = LiveFollower(follower)
    live.step(leader[:8])
    with pytest.raises(InputError, match="NaN"):
        live.step(leader[8:12] * float("nan"))
    assert len(live.step(leader[8:12]).joints) == 4


def test_a_broken_model_gives_a_still_follower_and_no_nan(leader: Tensor) -> None:
    follower = make_follower()
    live = LiveFollower(follower)
    live.step(leader[:40])
    with torch.no_grad():
        follower.codec.offsets[5] = float("nan")
    joints = live.step(leader[40:48]).joints
    assert joints.isfinite().all()
    assert live.counts["not finite"] == 8


def test_followers_that_cannot_dance_live_are_refused(follower: Follower) -> None:
    sees_tokens = build_gpt(
        MultiStreamGPTConfig(
            classes=follower.codec.spec.classes,
            conditions=(ConditionConfig(name="leader_tokens", kind="tokens", classes=(4,)),),
            width=8,
            layers=1,
            heads=2,
        )
    )
    with pytest.raises(InputError, match="leader_tokens"):
        LiveFollower(dataclasses.replace(follower, model=sees_tokens))
    with pytest.raises(InputError, match="29"):
        LiveFollower(follower).set_dials(look_ahead=30)
