"""The names of the published evaluator of text and motion in its checkpoint and in ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from duet_rl.compat.files import named
from duet_rl.compat.state import plain_state, require_shapes, single_precision, size_of, some
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.models.text_motion import TextMotionConfig, TextMotionEvaluator
from duet_rl.pickles import load_torch_checkpoint

MOVEMENT, MOTION, TEXT = "movement_encoder", "motion_encoder", "text_encoder"
_KINDS = ("weight", "bias")
_MOVEMENT = {"down": "main.0", "down_again": "main.3", "out": "out_net"}  # ours -> theirs
_SEQUENCE = {"into": "input_emb", "out.0": "output_net.0", "out.1": "output_net.1"}
_SEQUENCE |= {"out.3": "output_net.3"}
_GRU = tuple(
    f"{kind}_{path}_l0{way}" for way in ("", "_reverse") for kind in _KINDS for path in ("ih", "hh")
)


def read_evaluator(path: Path | str) -> TextMotionEvaluator:
    """Return the evaluator of the checkpoint that its training wrote (`finest.tar`).

    Nothing in the file is run. Its parts are told by name; what else lies in it (optimisers,
    counters) is not looked at.

    Raises:
        InputError: the file is missing, damaged or hostile, lacks one of the three networks, or
            they do not fit each other.
    """
    path = Path(path)
    loaded = load_torch_checkpoint(path)
    missing = [
        name for name in (MOVEMENT, MOTION, TEXT) if not isinstance(loaded.get(name), Mapping)
    ]
    if missing:
        raise InputError(
            f"{path} holds {some(sorted(map(str, loaded)))} and no {', '.join(missing)}; give the "
            "evaluator that was trained to match text and motion (text_mot_match/model/finest.tar)"
        )
    with named(path):
        return text_motion_evaluator({name: loaded[name] for name in (MOVEMENT, MOTION, TEXT)})


def text_motion_evaluator(states: Mapping[str, Mapping[str, Any]]) -> TextMotionEvaluator:
    """Return the evaluator of three original state dicts, ready to use.

    Args:
        states: `movement_encoder`, `motion_encoder` and `text_encoder`, each tensors by name.

    Raises:
        InputError: lists the keys that are missing, extra or of another shape.
    """
    tensors = {
        f"{part}.{name}": tensor
        for part in (MOVEMENT, MOTION, TEXT)
        for name, tensor in plain_state(states[part]).items()
    }
    evaluator = TextMotionEvaluator(*_channels(tensors), _config(tensors))
    ours, keys = evaluator.state_dict(), original_keys()
    require_shapes(tensors, {theirs: ours[name].shape for theirs, name in keys.items()})
    evaluator.load_state_dict(
        {name: single_precision(tensors[theirs]) for theirs, name in keys.items()}
    )
    return evaluator.eval()


def original_keys() -> dict[str, str]:
    """Return our key by the original's, the name of its network before it."""
    keys = {
        f"{MOVEMENT}.{theirs}.{kind}": f"motion.movement.{ours}.{kind}"
        for ours, theirs in _MOVEMENT.items()
        for kind in _KINDS
    }
    keys |= {f"{TEXT}.pos_emb.{kind}": f"embed_tag.{kind}" for kind in _KINDS}
    for theirs, ours in ((MOTION, "motion.sequence"), (TEXT, "text")):
        keys[f"{theirs}.hidden"] = f"{ours}.start"
        keys |= {f"{theirs}.gru.{name}": f"{ours}.gru.{name}" for name in _GRU}
        for own, original in _SEQUENCE.items():
            keys |= {f"{theirs}.{original}.{kind}": f"{ours}.{own}.{kind}" for kind in _KINDS}
    return keys


def _channels(tensors: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """Return channels of the motion and of a word, and the kinds of words."""
    sizes = (
        size_of(tensors, (f"{MOVEMENT}.main.0.weight", 1)),
        size_of(tensors, (f"{TEXT}.input_emb.weight", 1), (f"{TEXT}.pos_emb.bias", 0)),
        size_of(tensors, (f"{TEXT}.pos_emb.weight", 1)),
    )
    if None in sizes:
        raise InputError(
            "the tensors do not tell how many channels motion and words have; give the evaluator "
            "as its training wrote it"
        )
    motion, words, tags = (int(size or 0) for size in sizes)
    return motion, words, tags


def _config(tensors: Mapping[str, Tensor]) -> TextMotionConfig:
    """Return the sizes that the tensors tell."""
    sizes = {
        "movement_hidden": size_of(tensors, (f"{MOVEMENT}.main.0.bias", 0)),
        "movement": size_of(tensors, (f"{MOVEMENT}.out_net.bias", 0)),
        "motion_hidden": size_of(tensors, (f"{MOTION}.hidden", 2)),
        "text_hidden": size_of(tensors, (f"{TEXT}.hidden", 2)),
        "width": size_of(
            tensors, (f"{TEXT}.output_net.3.bias", 0), (f"{MOTION}.output_net.3.bias", 0)
        ),
    }
    known = {name: size for name, size in sizes.items() if size is not None}
    return validate(TextMotionConfig, known, "the original's tensors")
