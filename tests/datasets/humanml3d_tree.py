"""A small HumanML3D or KIT-ML on disk, in the layout of its authors, and an evaluator's words."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import rotate_yaw
from duet_rl.datasets.humanml3d import HUMANML3D, MotionFormat
from duet_rl.datasets.split import Split
from duet_rl.mocap.body_fit import BODY
from duet_rl.tokenizers.humanml3d import Quirks, canonical, features_of
from tests.datasets.conftest import sway

WAYS = ("walk", "jump", "turn", "wave")
WORD_CHANNELS = 6


def features(seed: int, frames: int, kind: MotionFormat = HUMANML3D) -> np.ndarray:
    """Return features that swing, each motion in its own way."""
    generator = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / kind.fps
    phase, speed = generator.uniform(0, 6, (2, kind.channels))
    return (np.sin(phase + time * speed) + seed % len(WAYS)).astype(np.float32)


def line(way: str, start: str = "0.0", stop: str = "0.0") -> str:
    return f"a person does {way}.#a/DET person/NOUN do/VERB {way}/VERB#{start}#{stop}\n"


def write_tree(
    root: Path, lengths: Sequence[int], kind: MotionFormat = HUMANML3D, split: str = "test"
) -> Path:
    """Write motions of these lengths, numbered from 0, each with two captions."""
    for folder in ("new_joint_vecs", "new_joints", "texts"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for number, frames in enumerate(lengths):
        name, way = f"{number:06d}", WAYS[number % len(WAYS)]
        rows.append(features(number, frames, kind))
        np.save(root / "new_joint_vecs" / f"{name}.npy", rows[-1])
        joints = np.full((frames + 1, kind.joints, 3), number, np.float32)
        np.save(root / "new_joints" / f"{name}.npy", joints)
        text = line(way) + line(way, "nan", "nan")
        (root / "texts" / f"{name}.txt").write_text(text, encoding="utf-8")
    whole = np.concatenate(rows)
    np.save(root / "Mean.npy", whole.mean(0))
    np.save(root / "Std.npy", whole.std(0) + 1e-3)
    names = "".join(f"{number:06d}\n" for number in range(len(lengths)))
    (root / f"{split}.txt").write_text(names, encoding="utf-8")
    return root


def write_words(folder: Path) -> Path:
    """Write the vectors of the few words that captions here have."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["unk", "sos", "eos", "a", "person", "do", *WAYS]
    vectors = np.random.default_rng(0).normal(size=(len(words), WORD_CHANNELS))
    np.save(folder / "our_vab_data.npy", vectors)
    (folder / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    numbers = {word: row for row, word in enumerate(words)}
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps(numbers))
    return folder


def body_joints(seed: int, frames: int) -> Float[Tensor, "T 22 3"]:
    """Return a body that sways, walks on and turns about itself, 20 fps."""
    joints = sway(frames, seed, HUMANML3D.fps).joints[:, :BODY]
    time = torch.arange(frames) / HUMANML3D.fps
    turned = rotate_yaw(joints, (1.5 + 0.1 * seed) * time[:, None])
    path = torch.stack([0.4 * time, 0 * time, 0.1 * time], dim=-1)
    return canonical(turned + path[:, None])


def write_bodies(root: Path, lengths: Mapping[str, int], split: Split) -> Path:
    """Add motions of bodies in the files' form to a tree: name -> frames, and the split's list."""
    for folder in ("new_joint_vecs", "texts"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, (name, frames) in enumerate(lengths.items()):
        values = features_of(body_joints(number, frames + 1), Quirks(lost_turns=True))
        np.save(root / "new_joint_vecs" / f"{name}.npy", values.numpy())
        text = line(WAYS[number % len(WAYS)]) + line("wave", "1.0", "3.5")
        (root / "texts" / f"{name}.txt").write_text(text, encoding="utf-8")
    for name in ("Mean", "Std"):
        np.save(root / f"{name}.npy", np.ones(HUMANML3D.channels, np.float32))
    listed = "".join(f"{name}\n" for name in lengths)
    (root / f"{split}.txt").write_text(listed, encoding="utf-8")
    return root
