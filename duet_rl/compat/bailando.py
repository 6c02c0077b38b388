"""Bailando's and Bailando++'s checkpoints become one follower of ours (spec 2 to 5, and 7)."""

from pathlib import Path

import torch

from duet_rl import checkpoint
from duet_rl.body.stage import stage
from duet_rl.compat.bailando_gpt import bailando_gpt
from duet_rl.compat.bailando_vqvae import pose_tokenizer, solo_codec
from duet_rl.compat.files import FOLLOWER, Original, named, read_original, require_free
from duet_rl.compat.state import single_precision, some
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

DEMO_TOKENS = (423, 12)  # that the authors' dances to songs of one's own begin with (spec 4)
_POSE, _ROOT, _GPT = "pose VQ-VAE", "root VQ-VAE", "GPT"
_VQVAE, _WORDS = "vqvae_", "gpt_base."  # what the keys of the two sorts of networks begin with
_VELOCITY = ".decoders_root."  # in keys of the root VQ-VAE alone


def convert(
    pose: Path | str,
    root: Path | str,
    gpt: Path | str,
    out: Path | str,
    heads: int | None = None,
) -> Path:
    """Write the soloist that three original checkpoints make, whole or not at all.

    The quirks that its weights were trained with stay as they are. No code in the files is run.

    Args:
        pose: checkpoint of the pose VQ-VAE (stage 1), `{'model', 'config', 'epoch'}`.
        root: checkpoint of the VQ-VAE with the velocity of the root (stage 2), or of Bailando++'s
            that also has rotations.
        gpt: checkpoint of the GPT, supervised (stage 3) or refined (stage 4), of either system.
        out: the follower's folder; a follower that is there is replaced.
        heads: of the GPT's attention, if its config does not say so.

    Returns:
        The folder, which `generate.follower.load_follower` opens.

    Raises:
        InputError: names the file that is missing, damaged or hostile, lists the keys that are
            missing, extra or of another shape, or says how the three do not fit each other.
    """
    out = Path(out)
    require_free(out)
    bodies = read_original(pose, _POSE, {_GPT: _WORDS})
    steps = read_original(root, _ROOT, {_GPT: _WORDS})
    words = read_original(gpt, _GPT, {_POSE: _VQVAE})
    _require_in_place(bodies, steps)
    with named(bodies.path):
        pose_tokenizer(bodies.state, bodies.stored)
    with named(steps.path):
        codec = solo_codec(steps.state, steps.stored)
    _require_one_training(bodies, steps)
    with named(words.path):
        config, tensors = bailando_gpt(words.state, words.stored, heads)
    if codec.spec.classes != config.classes:
        raise InputError(
            f"{words.path} was trained on codebooks of {config.classes} codes, {steps.path} has "
            f"{codec.spec.classes}; give the three files of one training"
        )
    facts = {"pose": bodies.facts, "root": steps.facts, "gpt": words.facts}
    meta = {"converted_from": {"system": "bailando", **facts}}
    with atomic_path(out) as temporary:
        temporary.mkdir()
        codec.save(temporary, meta)
        checkpoint.write_files(
            temporary,
            kind=FOLLOWER,
            tensors=tensors,
            config=config.model_copy(update={"start_tokens": _start_tokens(codec)}),
            meta=meta,
        )
    return out


def _require_in_place(pose: Original, root: Original) -> None:
    """Raise `InputError` if one of the two VQ-VAEs was given as the other."""
    if any(_VELOCITY in key for key in pose.state):
        raise InputError(
            f"{pose.path} is the checkpoint of the {_ROOT} and was given as that of the {_POSE}; "
            "look whether two files are swapped"
        )
    if not any(_VELOCITY in key for key in root.state):
        raise InputError(
            f"{root.path} has no decoder of the root's velocity ({_VELOCITY.strip('.')}); give the "
            "checkpoint of the second stage"
        )


def _require_one_training(pose: Original, root: Original) -> None:
    """Raise `InputError` if the poses are not those that the second stage was trained on."""
    both = sorted(pose.state.keys() & root.state.keys())
    states = (pose.state, root.state)
    apart = [key for key in both if not torch.equal(*(single_precision(s[key]) for s in states))]
    if apart:
        raise InputError(
            f"{root.path} was not trained on the poses of {pose.path}: {some(apart)} differ; give "
            "two files of one training"
        )


def _start_tokens(codec: SoloCodec) -> tuple[int, ...]:
    """Return the tokens that a dance begins with where nobody knows better.

    They are those of the authors' demo; in codebooks that have no such codes, those of a dancer
    who stands.
    """
    if all(token < n for token, n in zip(DEMO_TOKENS, codec.spec.classes, strict=True)):
        return DEMO_TOKENS
    standing = stage(FRAMES_PER_TOKEN)
    still = MotionBatch(standing.joints[None], standing.rotations[None])
    return tuple(codec.encode(still, still)[0, 0].tolist())
