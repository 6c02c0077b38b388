"""PGR2M's checkpoint files, read together and told apart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from duet_rl.compat.files import named
from duet_rl.compat.pgr2m import pgr2m_gpt
from duet_rl.compat.pgr2m_refine import pgr2m_refine
from duet_rl.compat.pgr2m_tokenizer import pgr2m_tokenizer
from duet_rl.compat.state import plain_state, some, values_in
from duet_rl.config import parse_yaml, read_yaml
from duet_rl.errors import InputError
from duet_rl.models.pgr2m import PoseCodeGPT, PoseCodeGPTConfig
from duet_rl.models.pgr2m_refine import RefineTransformer
from duet_rl.pickles import load_torch_checkpoint
from duet_rl.posecodes.catalogue import PGR2M392
from duet_rl.tokenizers.codes_vq import CodesVQVAE
from duet_rl.tokenizers.pgr2m import Pgr2m

OPTIONS = "arguments.yaml"  # that lies beside a checkpoint: how it was trained
_USE_KEYWORDS = ("use_keywords", "use_keyword")  # what the options call it
_TOKENIZER, _BASE, _REFINE = "tokenizer", "base transformer", "refine transformer"
_MARKS = {_TOKENIZER: "rvq.", _BASE: "trans_head.", _REFINE: "proc_in."}  # of keys, no other's


def read_pgr2m(
    tokenizer: Path | str,
    base: Path | str,
    refine: Path | str | None = None,
    base_heads: int | None = None,
    refine_heads: int | None = None,
    keywords: bool | None = None,
) -> Pgr2m:
    """Return the models of original checkpoints, in evaluation mode; no code in them is run.

    The options in an `arguments.yaml` beside a checkpoint tell what its tensors do not.

    Args:
        tokenizer: checkpoint of the pose-guided tokenizer.
        base: checkpoint of the transformer from text to pose codes.
        refine: checkpoint of the transformer from pose codes to residual tokens.
        base_heads: of the base transformer's attention, if its options do not say so.
        refine_heads: of the refine transformer's.
        keywords: whether a prompt is a sentence and eleven vectors of key words, or the sentence
            alone; None: as the options of the base transformer say, and with them if they do not.

    Raises:
        InputError: names the file that is missing, damaged, hostile or swapped for another, lists
            the keys that are missing, extra or of another shape, or says how the models do not
            fit each other.
    """
    classes = PGR2M392.classes
    state, options = _read(tokenizer, _TOKENIZER)
    with named(Path(tokenizer)):
        codec = pgr2m_tokenizer(state, classes, options)
    state, options = _read(base, _BASE)
    with named(Path(base)):
        steps = _prompt_steps(options, keywords)
        gpt = pgr2m_gpt(state, classes, options, base_heads, steps)
    if refine is None:
        return Pgr2m(codec, gpt, None)
    state, options = _read(refine, _REFINE)
    with named(Path(refine)):
        finer = pgr2m_refine(state, classes, options, refine_heads, steps)
        _require_one_training(codec, gpt, finer)
    return Pgr2m(codec, gpt, finer)


def _read(path: Path | str, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights in a checkpoint of this kind, and the options beside it."""
    path = Path(path)
    loaded = load_torch_checkpoint(path)
    found = [loaded] if _is_state(loaded) else [x for x in loaded.values() if _is_state(x)]
    if len(found) != 1:
        raise InputError(
            f"{path} holds {some(sorted(map(str, loaded)))} and {len(found)} sets of weights among "
            f"them; give the checkpoint of PGR2M's {kind}, as its training wrote it"
        )
    with named(path):
        state = plain_state(found[0])
    for other, mark in _MARKS.items():
        if other != kind and any(key.startswith(mark) for key in state):
            raise InputError(
                f"{path} is the checkpoint of the {other} and was given as that of the {kind}; "
                "look whether two files are swapped"
            )
    beside = path.parent / OPTIONS
    return state, parse_yaml(read_yaml(beside), str(beside)) if beside.is_file() else {}


def _prompt_steps(stored: Any, keywords: bool | None) -> int:
    """Return how many vectors a prompt has."""
    told = set(values_in(stored, _USE_KEYWORDS))
    if keywords is not None and told and told != {keywords}:
        raise InputError(
            f"its options say use_keywords: {told.pop()}; leave --keywords and --no-keywords out"
        )
    with_keywords = told != {False} if keywords is None else keywords
    return PoseCodeGPTConfig().prompt_steps if with_keywords else 1


def _is_state(value: Any) -> bool:
    """Return whether a value of a checkpoint is a model's weights by name."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(x, Tensor) for x in value.values())
    )


def _require_one_training(codec: CodesVQVAE, gpt: PoseCodeGPT, refine: RefineTransformer) -> None:
    """Raise `InputError` if the refine transformer was trained beside other models."""
    told = [(x.prompt_steps, x.prompt_channels) for x in (gpt.config, refine.config)]
    if told[0] != told[1]:
        raise InputError(
            f"its prompts are {told[1]} (vectors, channels) and those of the base transformer "
            f"{told[0]}; give two files of one training"
        )
    if refine.config.steps < gpt.config.steps:
        raise InputError(
            f"it knows clips of {refine.config.steps} rows and the base transformer writes up to "
            f"{gpt.config.steps}; give two files of one training"
        )
    codes = [(x.levels, x.codes) for x in (codec.config, refine.config)]
    if codes[0] != codes[1]:
        raise InputError(
            f"it says {codes[1]} (levels, codes) and the tokenizer has {codes[0]}; give two files "
            "of one training"
        )
