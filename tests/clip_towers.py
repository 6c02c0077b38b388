"""A small CLIP text tower drawn at random, as the model hubs keep one."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

WIDTH, LAYERS, LONGEST = 8, 1, 12
WORDS = 2 * 256 + 2  # every byte, inside a word and at its end


def write_tower(folder: Path, channels: int, seed: int = 0) -> Path:
    """Write config, weights and vocabulary, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(seed)
    shapes = {
        "text_model.embeddings.token_embedding.weight": (WORDS, WIDTH),
        "text_model.embeddings.position_embedding.weight": (LONGEST, WIDTH),
        "text_projection.weight": (channels, WIDTH),
    }
    layer = "text_model.encoder.layers.0"
    sizes = {f"self_attn.{part}": (WIDTH, WIDTH) for part in _PARTS}
    sizes |= {"mlp.fc1": (2 * WIDTH, WIDTH), "mlp.fc2": (WIDTH, 2 * WIDTH)}
    for name, (rows, columns) in sizes.items():
        shapes |= {f"{layer}.{name}.weight": (rows, columns), f"{layer}.{name}.bias": (rows,)}
    for name in (f"{layer}.layer_norm1", f"{layer}.layer_norm2", "text_model.final_layer_norm"):
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    save_file(
        {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(byte) for byte in visible] + [chr(256 + i) for i in range(256 - len(visible))]
    symbols += [f"{symbol}</w>" for symbol in symbols]
    words = [*symbols, "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


_PARTS = ("q_proj", "k_proj", "v_proj", "out_proj")
