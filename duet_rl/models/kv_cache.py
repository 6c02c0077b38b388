"""Keys and values of the last positions, kept while a clip is decoded step by step."""

import torch
from jaxtyping import Float
from torch import Tensor


class KVCache:
    """A ring of the last `window` positions for every layer, allocated once.

    Attention does not depend on the order of its keys (rotary keys carry their position), so the
    newest position simply takes the place of the oldest and nothing is ever shifted.
    """

    def __init__(
        self,
        layers: int,
        batch: int,
        heads: int,
        window: int,
        channels: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (layers, batch, heads, window, channels)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.window = window
        self.position = 0  # of the token that is being decoded

    def write(
        self, layer: int, key: Float[Tensor, "B H 1 E"], value: Float[Tensor, "B H 1 E"]
    ) -> tuple[Float[Tensor, "B H seen E"], Float[Tensor, "B H seen E"]]:
        """Store the newest position of `layer`; return all keys and values that it may see."""
        slot = self.position % self.window
        seen = min(self.position + 1, self.window)
        keys, values = self.keys[layer], self.values[layer]
        keys[:, :, slot : slot + 1] = key
        values[:, :, slot : slot + 1] = value
        return keys[:, :, :seen], values[:, :, :seen]

    def advance(self) -> None:
        """Move to the next position, after every layer has written this one."""
        self.position += 1

    def clear(self) -> None:
        """Forget everything; the memory stays allocated."""
        self.position = 0
