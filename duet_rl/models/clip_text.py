"""CLIP's text tower, frozen: what a sentence means as one vector, and as one of every word.

Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision. The
network is that of the package transformers (extra `clip`); weights come from local files, read as
tensors alone, and nothing is ever fetched.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.models.clip_words import ClipWords, read_clip_words, require_transformers
from duet_rl.pickles import is_torch_script, load_torch_checkpoint, load_torch_script_tensors

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # of a folder, the first that is there
_HEAD_CHANNELS = 64  # of all CLIP models that OpenAI published
_ACTIVATION = "quick_gelu"
_BATCH = 64  # texts that are read at once
_OPENAI = "token_embedding.weight"  # a key that tells OpenAI's names from those of the hubs
_TOKENS = "text_model.embeddings.token_embedding.weight"
_POSITIONS = "text_model.embeddings.position_embedding.weight"
_LAYERS = "text_model.encoder.layers"
_PROJECTION = "text_projection.weight"
_OPENAI_PLACES = {  # theirs -> the hubs'
    _OPENAI: _TOKENS,
    "positional_embedding": _POSITIONS,
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
_OPENAI_LAYERS = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_KINDS = ("weight", "bias")


class ClipText(nn.Module):
    """A frozen text tower with its vocabulary.

    Args:
        tower: the network.
        words: the vocabulary that it was trained with.
    """

    def __init__(self, tower: nn.Module, words: ClipWords) -> None:
        super().__init__()
        self.tower = tower.eval().requires_grad_(False)
        self.vocabulary = words
        settings: Any = tower.config
        self.channels: int = settings.projection_dim  # of a sentence's vector
        self.width: int = settings.hidden_size  # of a word's vector
        self.longest: int = settings.max_position_embeddings  # words, start and end among them

    @classmethod
    def load(cls, path: Path | str) -> "ClipText":
        """Return the tower of a local path; nothing is fetched, and no code in it is run.

        Args:
            path: a folder as the model hubs keep it (`config.json`, `model.safetensors` or
                `pytorch_model.bin`, and the vocabulary), or a file of weights with the vocabulary
                beside it: OpenAI's `ViT-B-32.pt`, or a state dict of the same names.

        Raises:
            InputError: nothing is there, it is damaged, or it is no text tower of CLIP; or the
                package transformers is missing.
        """
        path = Path(path)
        folder = path if path.is_dir() else path.parent
        tensors = _hub_names(_read_tensors(path), path)
        words = read_clip_words(folder)
        settings = _settings(tensors, folder / CONFIG if path.is_dir() else None, path)
        if settings["vocab_size"] != len(words.numbers):
            raise InputError(
                f"{path} knows {settings['vocab_size']} words and the vocabulary beside it has "
                f"{len(words.numbers)}; give the vocabulary that it was trained with"
            )
        return cls(_tower(settings, words, tensors, path), words)

    @torch.no_grad()
    def sentences(self, texts: Sequence[str]) -> Float[Tensor, "B C"]:
        """Return the vector of each text, not normalised: the end's state, projected.

        A text of more words than the tower knows is cut, as CLIP does.
        """
        batches = [self.tower(rows).text_embeds for rows in self._batches(texts)]
        return torch.cat(batches) if batches else self._nothing(self.channels)[:, 0]

    @torch.no_grad()
    def words(self, texts: Sequence[str]) -> Float[Tensor, "B L W"]:
        """Return the last states of each text's words, zeros behind its end."""
        batches = []
        for rows in self._batches(texts):
            states = self.tower(rows).last_hidden_state
            before_end = (rows == self.vocabulary.end).int().cumsum(1) == 0
            kept = torch.cat([torch.ones_like(before_end[:, :1]), before_end[:, :-1]], dim=1)
            batches.append(states * kept[..., None])
        return torch.cat(batches) if batches else self._nothing(self.width)

    def save(self, folder: Path | str) -> Path:
        """Write the tower into an existing folder as the model hubs keep it, without pickles."""
        folder = Path(folder)
        tensors = {name: x.contiguous() for name, x in self.tower.state_dict().items()}
        save_file(tensors, folder / WEIGHTS[0], metadata={"format": "pt"})
        settings: Any = self.tower.config
        kept = {name: getattr(settings, name) for name in ("hidden_act", "num_attention_heads")}
        (folder / CONFIG).write_text(json.dumps(kept | {"model_type": "clip_text_model"}) + "\n")
        self.vocabulary.save(folder)
        return folder

    def _batches(self, texts: Sequence[str]) -> list[Int[Tensor, "B L"]]:
        """Return the numbers of the texts' words, zeros behind each end."""
        read = self.vocabulary.read(texts, self.longest) if texts else []
        rows = torch.zeros(len(read), self.longest, dtype=torch.int64)
        for row, words in zip(rows, read, strict=True):
            row[: len(words)] = torch.tensor(words)
        device = next(self.tower.parameters()).device
        return list(rows.to(device).split(_BATCH)) if len(rows) else []

    def _nothing(self, channels: int) -> Tensor:
        return next(self.tower.parameters()).new_zeros(0, self.longest, channels)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file or folder of weights.

    Raises:
        InputError: there are none, or the file is damaged or hostile.
    """
    if path.is_dir():
        found = [path / name for name in WEIGHTS if (path / name).is_file()]
        if not found:
            raise InputError(
                f"{path} has none of {', '.join(WEIGHTS)}; give a folder with CLIP's text tower"
            )
        path = found[0]
    require_file(path, "CLIP's text tower")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} is damaged ({error}); fetch it again") from error
    if is_torch_script(path):
        return load_torch_script_tensors(path)
    loaded = load_torch_checkpoint(path)
    state = loaded["state_dict"] if isinstance(loaded.get("state_dict"), Mapping) else loaded
    return {str(name): x for name, x in state.items() if isinstance(x, Tensor)}


def _hub_names(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the text tower's tensors in single precision, by the names that the hubs use.

    Raises:
        InputError: there is no text tower among them.
    """
    ours: dict[str, Tensor] = {}
    if _OPENAI in tensors:
        for name, tensor in tensors.items():
            ours |= _of_openai(name, tensor)
    else:
        ours = {
            name: x
            for name, x in tensors.items()
            if (name.startswith("text_model.") and not name.endswith("position_ids"))
            or name == _PROJECTION
        }
    wanted = (_TOKENS, _POSITIONS, _PROJECTION)
    if any(name not in ours or ours[name].ndim != 2 for name in wanted):
        raise InputError(
            f"{path} has no text tower of CLIP: {', '.join(wanted)}, or OpenAI's names of them; "
            "give CLIP's weights (ViT-B/32 for PGR2M)"
        )
    ours = {name: tensor.float() for name, tensor in ours.items()}
    spoiled = [name for name, tensor in ours.items() if not tensor.isfinite().all()]
    if spoiled:
        raise InputError(f"{path} has NaN or infinity in {spoiled[0]}; fetch it again")
    return ours


def _of_openai(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Return one of OpenAI's tensors by the names of the hubs; of another tower, nothing."""
    if name in _OPENAI_PLACES:
        return {_OPENAI_PLACES[name]: tensor}
    if name == "text_projection":
        return {_PROJECTION: tensor.mT}
    if not name.startswith("transformer.resblocks."):
        return {}
    layer, _, rest = name.removeprefix("transformer.resblocks.").partition(".")
    own = f"{_LAYERS}.{layer}"
    for kind in _KINDS:
        if rest == f"attn.in_proj_{kind}":
            parts = zip(("q", "k", "v"), tensor.chunk(3), strict=False)
            return {f"{own}.self_attn.{part}_proj.{kind}": x for part, x in parts}
        for theirs, ours in _OPENAI_LAYERS.items():
            if rest == f"{theirs}.{kind}":
                return {f"{own}.{ours}.{kind}": tensor}
    return {name: tensor}  # of no use: it will be listed


def _settings(tensors: Mapping[str, Tensor], config: Path | None, path: Path) -> dict[str, Any]:
    """Return the tower's sizes as its tensors tell, and what they do not as its config does.

    Raises:
        InputError: the config is damaged, or the sizes contradict each other.
    """
    words, width = tensors[_TOKENS].shape
    told: dict[str, Any] = {}
    if config is not None and config.is_file():
        told = _read_config(config)
    layers = {
        name.removeprefix(f"{_LAYERS}.").split(".")[0]
        for name in tensors
        if name.startswith(f"{_LAYERS}.")
    }
    heads = told.get("num_attention_heads", max(width // _HEAD_CHANNELS, 1))
    hidden = tensors.get(f"{_LAYERS}.0.mlp.fc1.weight")
    if not isinstance(heads, int) or heads < 1 or width % heads or hidden is None:
        raise InputError(
            f"{path}: a tower of {len(layers)} layers, {width} channels and {heads} heads is no "
            "text tower of CLIP; give CLIP's weights"
        )
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": len(hidden),
        "num_hidden_layers": len(layers),
        "num_attention_heads": heads,
        "max_position_embeddings": len(tensors[_POSITIONS]),
        "projection_dim": len(tensors[_PROJECTION]),
        "hidden_act": told.get("hidden_act", _ACTIVATION),
    }


def _read_config(path: Path) -> dict[str, Any]:
    """Return what a config of the hubs says about the text tower.

    Raises:
        InputError: it is damaged.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); fetch it again") from error
    told = read.get("text_config", read) if isinstance(read, dict) else None
    if not isinstance(told, dict):
        raise InputError(f"{path} says nothing about a text tower; give that of CLIP's weights")
    return told


def _tower(
    settings: dict[str, Any], words: ClipWords, tensors: dict[str, Tensor], path: Path
) -> nn.Module:
    """Return the network with its weights.

    Raises:
        InputError: lists the tensors that are missing, too many, or of another shape.
    """
    library = require_transformers()
    marks = {"bos_token_id": words.start, "eos_token_id": words.end, "pad_token_id": 0}
    if settings["hidden_act"] not in library.activations.ACT2FN:
        raise InputError(
            f"{path}: CLIP has no activation {settings['hidden_act']!r}; mend {CONFIG}"
        )
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are never used
        tower = library.CLIPTextModelWithProjection(library.CLIPTextConfig(**settings, **marks))
    own = {name: x.shape for name, x in tower.state_dict().items()}
    apart = sorted(own.keys() ^ tensors.keys())
    apart += sorted(
        name for name in own.keys() & tensors.keys() if tensors[name].shape != own[name]
    )
    if apart:
        raise InputError(
            f"{path} is no text tower of CLIP: {', '.join(apart[:4])} are missing, too many or of "
            f"another shape ({len(apart)} in all); fetch it again"
        )
    tower.load_state_dict(tensors)
    return tower
