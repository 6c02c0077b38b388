"""How much of a dance do readable tokens keep, and does a dancer do what edited codes say?

    python scripts/benchmarks/readable_codec.py --codec RUN --data RUN/data --name salsa
    python scripts/benchmarks/readable_codec.py --codec RUN --beside OTHER --data RUN/data

Takes that the codec was not trained on. Errors are of the 22 body joints about the root, with the
dancer's own bones and heading; slide and jerk are of whole decoded followers. One thread.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from bench import print_table, write_results
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import JOINT
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.metrics.feet import slide_speed
from duet_rl.metrics.reconstruction import mpjpe
from duet_rl.metrics.smoothness import jerk
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.posecodes.points import LIMB_POINTS
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.codes_pose import dropped
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import HeadingFrame, MotionBatch
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import DROPPED, FRAMES_PER_TOKEN

SEED = 0
BODY = 22  # joints whose errors are told
MM = 1e3
EDITS = (  # limb, and the code that it shall show
    ("left_arm", "left hand above left shoulder"),
    ("right_arm", "right hand above right shoulder"),
    ("left_arm", "left hand above head"),
    ("left_arm", "left elbow at 80 to 90 degrees"),
    ("left_leg", "left foot in front of torso"),
)


def held_out(store: DuetStore) -> list[DuetClip]:
    """Return the clips that no stage learned from."""
    return [clip for split in ("val", "test") for clip in store.clips(split)]


def batch_of(motion: Motion) -> MotionBatch:
    """Return a motion of whole tokens as a batch of one."""
    frames = len(motion.joints) // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
    return MotionBatch(motion.joints[None, :frames], motion.rotations[None, :frames])


def dancers(clips: Sequence[DuetClip]) -> list[Motion]:
    """Return everyone who dances in them."""
    return [motion for clip in clips for motion in (clip.duet.leader, clip.duet.follower)]


def posed(codec: DuetCodec, tokens: Tensor, dancer: Motion) -> Tensor:
    """Return decoded poses on the dancer's bones, heading and path as joints, `(1, T, 55, 3)`."""
    truth, frame = batch_of(dancer), codec.pose.frame
    assert isinstance(frame, HeadingFrame)
    heading = frame.heading(truth.joints, "measured")
    rotations = frame.local_rotations(codec.pose.decode(tokens).rotations, heading)
    return forward_kinematics(rotations, truth.joints[:, :, 0], dancer.skeleton.offsets).joints


@torch.no_grad()
def error(codec: DuetCodec, tokens: Tensor, dancer: Motion) -> float:
    """Return how far the body joints are off about the root, mm."""
    found, truth = posed(codec, tokens, dancer)[:, :, :BODY], batch_of(dancer).joints[:, :, :BODY]
    return MM * float(mpjpe(found, truth).mean())


def cut(residual: Tensor, levels: int) -> Tensor:
    """Return residual tokens with all but the first levels left out."""
    kept = residual.clone()
    kept[..., levels:] = DROPPED
    return kept


@torch.no_grad()
def by_level(codec: ReadableCodec, clips: Sequence[DuetClip]) -> list[dict[str, Any]]:
    """Return the error and the codes found again for pose codes alone and with 1, 2, ... levels."""
    rows = []
    coded = [
        (d, codec.pose.encode(batch_of(d)), codec.pose.encode_residual(batch_of(d)))
        for d in dancers(clips)
    ]
    for levels in range(codec.levels + 1):
        errors, kept = [], []
        for dancer, told, residual in coded:
            tokens = torch.cat([told, cut(residual, levels)], dim=-1)
            errors.append(error(codec, tokens, dancer))
            again = codec.pose.read(posed(codec, tokens, dancer))
            kept.append(float((again == told[..., : codec.groups]).float().mean()))
        rows.append(
            {
                "tokens": "pose codes" if not levels else f"+ {levels} levels",
                "mpjpe_mm": round(mean(errors), 1),
                "codes_kept": round(mean(kept), 3),
            }
        )
    return rows


@torch.no_grad()
def whole(codec: DuetCodec, clips: Sequence[DuetClip], name: str, full: bool) -> dict[str, Any]:
    """Return how decoded followers are: error about the root and of it, slide and jerk."""
    errors, roots, slides, jerks = [], [], [], []
    for clip in clips:
        leader, follower = batch_of(clip.duet.leader), batch_of(clip.duet.follower)
        if full and isinstance(codec, ReadableCodec):
            tokens = codec.encode_full(leader, follower)
        else:
            tokens = codec.encode(leader, follower)
        danced = codec.decode(tokens, leader, clip.duet.follower.skeleton.offsets).joints
        errors.append(MM * float(mpjpe(danced[:, :, :BODY], follower.joints[:, :, :BODY]).mean()))
        apart = (danced - follower.joints)[:, :, 0].norm(dim=-1)
        roots.append(MM * float(apart.mean()))
        slides.append(float(slide_speed(danced, FPS).nanmean()))
        jerks.append(float(jerk(danced, FPS).nanmean()))
    return {
        "decoded": name,
        "mpjpe_mm": round(mean(errors), 1),
        "root_mm": round(mean(roots)),
        "slide_m_s": round(mean(slides), 3),
        "jerk": round(mean(jerks)),
    }


def true_followers(clips: Sequence[DuetClip]) -> dict[str, Any]:
    """Return slide and jerk of the true followers."""
    joints = [batch_of(clip.duet.follower).joints for clip in clips]
    return {
        "decoded": "true followers",
        "mpjpe_mm": 0.0,
        "root_mm": 0,
        "slide_m_s": round(mean([float(slide_speed(x, FPS).nanmean()) for x in joints]), 3),
        "jerk": round(mean([float(jerk(x, FPS).nanmean()) for x in joints])),
    }


@torch.no_grad()
def edit(codec: ReadableCodec, clips: Sequence[DuetClip], limb: str, said: str) -> dict[str, Any]:
    """Return how often dancers show a code once the limb's groups are those of dancers who do.

    Each token takes them from the row of the bank that shows the code and agrees best with the
    token's other groups; residual levels are left out.
    """
    code = BODY_CODES.code(said)
    moved = list(BODY_CODES.groups_moved_by(limb))
    others = [group for group in range(codec.groups) if group not in moved]
    shown = codec.bank.codes[codec.bank.codes[:, code.group] == code.category].long()
    result: dict[str, Any] = {"limb": limb, "shall_show": said, "rows_of_bank": len(shown)}
    if not len(shown):
        return result
    before, after, limb_mm, other_mm = [], [], [], []
    joints_of = {name: _joints(name) for name in LIMB_POINTS}
    for dancer in dancers(clips):
        told = codec.pose.encode(batch_of(dancer))
        near = (told[0, :, None, others] == shown[None, :, others]).sum(-1).argmax(-1)
        edited = told.clone()
        edited[0][:, moved] = shown[near][:, moved]
        plain, changed = (
            posed(codec, torch.cat([x, dropped(x, codec.levels)], -1), dancer)
            for x in (told, edited)
        )
        for share, joints in ((before, plain), (after, changed)):
            found = codec.pose.read(joints)[..., code.group] == code.category
            share.append(float(found.float().mean()))
        apart = (changed - plain).norm(dim=-1)
        limb_mm.append(MM * float(apart[..., joints_of[limb]].mean()))
        rest = [joint for name, own in joints_of.items() if name != limb for joint in own]
        other_mm.append(MM * float(apart[..., rest].mean()))
    return result | {
        "before": round(mean(before), 3),
        "after": round(mean(after), 3),
        "limb_mm": round(mean(limb_mm)),
        "other_limbs_mm": round(mean(other_mm)),
    }


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def _joints(limb: str) -> list[int]:
    """Return the joints of a limb among the 22."""
    return [JOINT[name] for name in LIMB_POINTS[limb] if name in JOINT and JOINT[name] < BODY]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codec", type=Path, required=True, help="folder of a readable codec")
    parser.add_argument("--beside", type=Path, help="folder of another codec, to compare")
    parser.add_argument("--data", type=Path, required=True, help="folder of a clip store")
    parser.add_argument("--name", default="couples", help="of the data, for the results")
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codec, clips = load_codec(options.codec), held_out(DuetStore.open(options.data))
    if not isinstance(codec, ReadableCodec):
        parser.error(f"{options.codec} is no readable codec")
    tables = {
        "levels": by_level(codec, clips),
        "followers": [
            true_followers(clips),
            whole(codec, clips, "readable, pose codes alone", full=False),
            whole(codec, clips, "readable, all levels", full=True),
        ],
        "edits": [edit(codec, clips, *one) for one in EDITS],
    }
    if options.beside is not None:
        other = load_codec(options.beside)
        assert isinstance(other, DuetCodec)
        tables["followers"].append(whole(other, clips, "beside", full=False))
        errors = [error(other, other.pose.encode(batch_of(d)), d) for d in dancers(clips)]
        row = {"tokens": "beside", "mpjpe_mm": round(mean(errors), 1), "codes_kept": "-"}
        tables["levels"].append(row)
    for rows in tables.values():
        print_table([{key: str(cell) for key, cell in row.items()} for row in rows])
    if not options.dry:
        rows = [{"table": name, **row} for name, table in tables.items() for row in table]
        print(write_results(f"readable_codec_{options.name}", rows, SEED))


if __name__ == "__main__":
    main()
