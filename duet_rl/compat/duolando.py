"""Duolando's three checkpoints become one follower of ours (spec 3.3, 4 and 5.1)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.audio.provenance import AUTHORS, META_KEY
from duet_rl.body.skeleton import default_skeleton
from duet_rl.compat.files import FOLLOWER, Original, named, read_original, require_free
from duet_rl.compat.gpt import from_original, original_shapes, read_gpt
from duet_rl.compat.state import numbers_in, require_shapes, size_of
from duet_rl.compat.vqvae import placement_tokenizer, pose_tokenizer
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.mocap.axes import UpAxis
from duet_rl.models.duolando import DuolandoGPTConfig
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, TokenSpec

DEMO_TOKENS = (19, 41, 268, 197, 321)  # that the authors' demo begins with (spec 5.6)
_HEADS = ("n_head", "n_heads", "num_heads", "heads")  # what configs may call the number of heads
_DROPOUT = "attn_pdrop"
_MARKS = {  # what the keys of each checkpoint begin with, and no other's
    "pose VQ-VAE": "vqvae_",
    "translation VQ-VAE": "encoders.",
    "follower GPT": "tok_emb_",
}
_PAPER = DuolandoGPTConfig()
_APART = 1.0  # m; between a leader and a follower who stand and wait


def convert(
    pose: Path | str,
    translation: Path | str,
    gpt: Path | str,
    out: Path | str,
    up: UpAxis = "z",
    heads: int | None = None,
) -> Path:
    """Write the follower that three original checkpoints make, whole or not at all.

    The quirks that its weights were trained with stay as they are. No code in the files is run.

    Args:
        pose: checkpoint of the pose VQ-VAE, `{'model', 'config', 'epoch'}`.
        translation: checkpoint of the translation VQ-VAE.
        gpt: checkpoint of the follower, supervised or refined by RL.
        out: the follower's folder; a follower that is there is replaced.
        up: the axis that pointed up in the data that they were trained on.
        heads: of the follower's attention, if its config does not say so.

    Returns:
        The folder, which `generate.follower.load_follower` opens.

    Raises:
        InputError: names the file that is missing, damaged or hostile, lists the keys that are
            missing, extra or of another shape, or says how the three do not fit each other.
    """
    out = Path(out)
    require_free(out)
    poses, places, words = (
        read_original(path, kind, _MARKS)
        for path, kind in zip((pose, translation, gpt), _MARKS, strict=True)
    )
    with named(poses.path):
        bodies = pose_tokenizer(poses.state, poses.stored, up)
    with named(places.path):
        roots = placement_tokenizer(places.state, places.stored, up)
    with named(words.path):
        config, tensors = _gpt(words, heads)
    spec = TokenSpec(bodies.streams + roots.streams)
    if spec.classes != config.classes:
        raise InputError(
            f"{words.path} was trained on codebooks of {config.classes} codes, {poses.path} and "
            f"{places.path} have {spec.classes}; give the three files of one training"
        )
    start = _start_tokens(bodies, roots, spec)
    facts = {"pose": poses.facts, "translation": places.facts, "gpt": words.facts}
    meta = {"converted_from": {"system": "duolando", **facts}, META_KEY: dict(AUTHORS)}
    joint = roots.config.model_copy(update={"pose": bodies.config.pose})
    with atomic_path(out) as temporary:
        temporary.mkdir()
        for tokenizer in (bodies, roots):
            tokenizer.config = joint
            tokenizer.save(temporary / tokenizer.kind, meta)
        checkpoint.write_files(
            temporary,
            kind=FOLLOWER,
            tensors=tensors,
            config=config.model_copy(update={"start_tokens": start}),
            meta=meta,
        )
    return out


def _gpt(original: Original, heads: int | None) -> tuple[DuolandoGPTConfig, dict[str, Tensor]]:
    """Return config and tensors of the follower, after a check of every key and shape."""
    state = original.state
    found = numbers_in(original.stored, _HEADS)
    if heads is not None and len(found) == 1 and found != {heads}:
        raise InputError(
            f"the stored config says {found.pop():g} heads of attention, and {heads} were given; "
            "leave --heads out"
        )
    if heads is not None and (_width(state) or heads) % heads:
        raise InputError(f"width {_width(state)} does not divide into {heads} heads; mend --heads")
    if heads is None and not found and _width(state) == _PAPER.width:
        heads = _PAPER.heads
    if heads is None and len(found) != 1:
        raise InputError(
            f"the stored config names {sorted(found) or 'no'} heads of attention; say how many it "
            "has (--heads)"
        )
    dropout = numbers_in(original.stored, (_DROPOUT,)) or {_PAPER.dropout}
    options = {
        "n_head": int(found.pop()) if heads is None else heads,
        _DROPOUT: dropout.pop(),
    }
    config = read_gpt(state, options, "its sizes")
    require_shapes(state, original_shapes(config))
    return config, from_original(state, config)


def _width(state: Mapping[str, Tensor]) -> int | None:
    return size_of(state, ("tok_emb_up.weight", 1))


def _start_tokens(
    pose: PoseTokenizer, placement: PlacementTokenizer, spec: TokenSpec
) -> tuple[int, ...]:
    """Return the tokens that a dance begins with where nobody knows better.

    They are those of the authors' demo; in codebooks that have no such codes, those of a follower
    who stands a step before the leader.
    """
    if all(token < classes for token, classes in zip(DEMO_TOKENS, spec.classes, strict=True)):
        return DEMO_TOKENS
    standing = default_skeleton().rest_joints().expand(1, FRAMES_PER_TOKEN, -1, -1)
    rotations = torch.eye(3).expand(*standing.shape, 3)
    leader = MotionBatch(standing, rotations)
    follower = MotionBatch(standing + standing.new_tensor([0.0, 0.0, _APART]), rotations)
    with torch.no_grad():
        rows = (pose.encode(follower), placement.encode(leader, follower))
    return tuple(torch.cat(rows, dim=-1)[0, 0].tolist())
