"""What a follower reads: dances taken again with other music, another leader, another future.

A follower samples its tokens. With one seed it draws the same random numbers each time, so that
two of its dances differ only where it knew different things.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import UP
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.metrics.duet import Measure
from duet_rl.metrics.smoothness import BODY_JOINTS
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

MOVED = 1e-3  # m; a joint that is elsewhere by less has not moved, but been rounded
MOMENTS = (1 / 3, 1 / 2, 2 / 3)  # of a clip; where its future is changed

READS = "What it reads, and how far ahead"  # title of the table

PROBES: dict[str, Measure] = {
    "music_sensitivity": Measure("m", "higher", "what other music changes of the dance", READS),
    "seed_sensitivity": Measure("m", "", "what another seed changes of the dance", READS),
    "leader_sensitivity": Measure("m", "higher", "what another leader changes of the pose", READS),
    "seed_pose_sensitivity": Measure("m", "", "what another seed changes of the pose", READS),
    "future_reach": Measure("s", "lower", "how far ahead another future changes the dance", READS),
}

Dance = Callable[[Sequence[DuetClip], int], Float[Tensor, "B T 55 3"]]
"""Clips of one length and a seed in, the joints of a follower for each out."""

Differs = Callable[[DuetClip, DuetClip], bool]


def probe(
    dance: Dance, clips: Sequence[DuetClip], seed: int = 0, sampled: bool = True
) -> dict[str, Float[Tensor, "B"]]:
    """Return every measure of `PROBES`, one number a clip.

    The sensitivities are mean distances of the body's joints to the dance as it was. Those to
    music and to another seed (which is the `diversity` of two dances) are taken in the room. Where
    the follower stands and faces follows the leader by construction, so another leader counts only
    for what he changes of the pose: seen from the follower's own root and facing; the same is done
    for another seed. A sensitivity of 0 says that the follower does not listen; one near that of
    the seed says no more than that it does, since the first token that differs changes all later.

    Args:
        dance: the follower.
        clips: of one length; each gets music, leader and future of another of them.
        seed: of the sampling.
        sampled: whether another seed gives another dance; without, it is not asked for.

    Returns:
        `(B,)` each; NaN for a clip to which no other of the clips gives anything new, and for one
        that is not danced.
    """
    base = dance(clips, seed)
    other_music, new_music = _swapped(clips, _other_music, _with_music)
    other_leader, new_leader = _swapped(clips, _other_leader, lambda a, b: _with_future(a, b, 0))
    found = {
        "music_sensitivity": _where(new_music, _apart(base, dance(other_music, seed))),
        "leader_sensitivity": _where(
            new_leader, _apart(own_frame(base), own_frame(dance(other_leader, seed)))
        ),
    }
    if sampled:
        again = dance(clips, seed + 1)
        found["seed_sensitivity"] = _apart(base, again)
        found["seed_pose_sensitivity"] = _apart(own_frame(base), own_frame(again))
    found["future_reach"] = future_reach(dance, clips, seed, base)
    return {name: found[name] for name in PROBES if name in found}


def future_reach(
    dance: Dance,
    clips: Sequence[DuetClip],
    seed: int = 0,
    base: Float[Tensor, "B T 55 3"] | None = None,
) -> Float[Tensor, "B"]:
    """Return how far ahead a follower sees, seconds; 0 if the future changes nothing before it.

    From a moment on, music and leader become those of another clip; the earliest frame before the
    moment that moves by more than `MOVED` tells the reach. The largest over `MOMENTS` counts, each
    at the beginning of a token, for a token is written as a whole.

    Args:
        dance: the follower.
        clips: of one length.
        seed: of the sampling.
        base: its dance with this seed, if it is known already.

    Returns:
        `(B,)`; NaN for a clip whose future is that of all others.
    """
    base = dance(clips, seed) if base is None else base
    reaches = [_reach_at(dance, clips, seed, base, moment) for moment in _moments(base.shape[1])]
    if not reaches:
        return base.new_full((len(clips),), torch.nan)
    every = torch.stack(reaches)
    return _where(~every.isnan().all(0), every.nan_to_num(0).amax(0))


def own_frame(joints: Float[Tensor, "B T 55 3"]) -> Float[Tensor, "B T 55 3"]:
    """Return a dancer as seen from its own root and facing: the pose alone, metres."""
    return rotate_yaw(joints - joints[:, :, :1], -facing_angle(joints)[..., None])


def continued(leader: Motion, other: Motion, start: int) -> Motion:
    """Return `leader` up to the frame `start`, and `other` from there on.

    The other is turned and moved on the floor, so that place and facing go on without a jump, and
    dances with the bones of the first; the pose changes at once.
    """
    turn = float(facing_angle(leader.joints)[start] - facing_angle(other.joints)[start])
    placed = other.turned(turn, other.root[start].tolist())
    step = leader.root[start] - placed.root[start]
    step[UP] = 0
    root = placed.root[start:] + step
    future = Motion.from_rotations(root, placed.rotations[start:], leader.skeleton, leader.fps)
    return replace(
        leader,
        joints=torch.cat([leader.joints[:start], future.joints]),
        rotations=torch.cat([leader.rotations[:start], future.rotations]),
    )


def _reach_at(
    dance: Dance, clips: Sequence[DuetClip], seed: int, base: Tensor, moment: int
) -> Float[Tensor, "B"]:
    changed, new = _swapped(
        clips,
        lambda a, b: _other_future(a, b, moment),
        lambda a, b: _with_music(_with_future(a, b, moment), b, moment),
    )
    distance = (dance(changed, seed) - base)[:, :moment].norm(dim=-1).amax(-1)
    moved = distance > MOVED  # (B, moment)
    first = torch.where(moved.any(1), moved.int().argmax(1), moment)
    danced = ~distance.isnan().any(1)
    return _where(new.to(danced.device) & danced, (moment - first) / FPS)


def _moments(frames: int) -> list[int]:
    """Return the first frames of the tokens at `MOMENTS`."""
    tokens = frames // FRAMES_PER_TOKEN
    return sorted({round(part * tokens) * FRAMES_PER_TOKEN for part in MOMENTS} - {0, frames})


def _swapped(
    clips: Sequence[DuetClip], differs: Differs, change: Callable[[DuetClip, DuetClip], DuetClip]
) -> tuple[list[DuetClip], Bool[Tensor, "B"]]:
    """Return each clip changed by the next one that differs from it, and whether there is one."""
    changed, found = [], []
    for place, clip in enumerate(clips):
        others = (*clips[place + 1 :], *clips[:place])
        other = next((one for one in others if differs(clip, one)), None)
        changed.append(clip if other is None else change(clip, other))
        found.append(other is not None)
    return changed, torch.tensor(found)


def _other_music(clip: DuetClip, other: DuetClip) -> bool:
    return not torch.equal(clip.music, other.music)


def _other_leader(clip: DuetClip, other: DuetClip) -> bool:
    return _other_way(clip, other, 0)


def _other_future(clip: DuetClip, other: DuetClip, start: int) -> bool:
    music = not torch.equal(clip.music[start:], other.music[start:])
    return music or _other_way(clip, other, start)


def _other_way(clip: DuetClip, other: DuetClip, start: int) -> bool:
    """Return whether the leader would go on otherwise."""
    future = continued(clip.duet.leader, other.duet.leader, start)
    return bool((future.joints - clip.duet.leader.joints).abs().max() > MOVED)


def _with_music(clip: DuetClip, other: DuetClip, start: int = 0) -> DuetClip:
    return replace(clip, music=torch.cat([clip.music[:start], other.music[start:]]))


def _with_future(clip: DuetClip, other: DuetClip, start: int) -> DuetClip:
    leader = continued(clip.duet.leader, other.duet.leader, start)
    return replace(clip, duet=Duet(leader, clip.duet.follower))


def _apart(joints: Float[Tensor, "B T 55 3"], other: Float[Tensor, "B T 55 3"]) -> Tensor:
    """Return the mean distance of the body's joints, metres, `(B,)`."""
    return (joints - other)[:, :, :BODY_JOINTS].norm(dim=-1).mean((1, 2))


def _where(applies: Bool[Tensor, "B"], values: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    return torch.where(applies.to(values.device), values, torch.nan)
