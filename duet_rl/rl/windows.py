"""The windows of whole dances that Duolando's RL learns from (spec section 6.3)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from duet_rl.errors import InputError


class WindowSizes(NamedTuple):
    """What a window spans; the defaults are the paper's."""

    block: int = 30  # token steps that are judged
    look_forward: int = 29  # tokens of music and leader beyond these
    music_rate: int = 4  # frames of music a token

    @property
    def span(self) -> int:
        """Tokens of music and leader that a window sees."""
        return self.block + self.look_forward


class Windows(NamedTuple):
    """`W` windows of every dance, dance by dance: `B = R W` rows.

    `N` is the block and `L` the span. Step i sees tokens up to i, the leader up to
    i + look_forward, and the music one token farther, and is judged by token i + 1.
    """

    tokens: Int[Tensor, "B N S"]
    targets: Int[Tensor, "B N S"]
    rewards: Float[Tensor, "B N S"]  # of the targets
    leader: Int[Tensor, "B L K"]
    music: Float[Tensor, "B M C"]  # `music_rate` frames for each token of the leader


def count_windows(
    follower_tokens: int,
    leader_tokens: int,
    music_frames: int,
    sizes: WindowSizes = WindowSizes(),
    drop_last: bool = False,
) -> int:
    """Return how many windows, one a token, fit into a dance; less than 1 if it is too short.

    Args:
        follower_tokens: so many, with the first one, which is given and not judged.
        leader_tokens: so many; Duolando's follower ends `look_forward` tokens before its leader.
        music_frames: so many, from the first frame of the dance on.
        sizes: of a window.
        drop_last: leave out the last one, as the original does: it counts by the leader, one less
            than its own follower and full music allow.
    """
    by_follower = follower_tokens - sizes.block
    by_leader = leader_tokens - sizes.span + (-1 if drop_last else 1)
    by_music = music_frames // sizes.music_rate - sizes.span
    return min(by_follower, by_leader, by_music)


def replay_windows(
    tokens: Int[Tensor, "R steps S"],
    rewards: Float[Tensor, "R steps S"],
    leader: Int[Tensor, "R leader K"],
    music: Float[Tensor, "R frames C"],
    sizes: WindowSizes = WindowSizes(),
    drop_last: bool = False,
) -> Windows:
    """Return all windows of `R` dances that are equally long.

    Args:
        tokens: of the follower, whole dances with their first token.
        rewards: of the tokens.
        leader: tokens of the leader.
        music: features of the frames; the music of a window begins one token after its leader.
        sizes: of a window.
        drop_last: leave out the last window, as the original does.

    Raises:
        InputError: no window fits into the dances.
    """
    count = count_windows(tokens.shape[1], leader.shape[1], music.shape[1], sizes, drop_last)
    if count < 1:
        raise InputError(
            f"dances of {tokens.shape[1]} tokens, {leader.shape[1]} of the leader and "
            f"{music.shape[1]} frames of music have no window of {sizes.block} tokens, "
            f"{sizes.span} of the leader and {sizes.span} x {sizes.music_rate} frames after the "
            "first token; dance longer"
        )
    rate = sizes.music_rate
    return Windows(
        cut_windows(tokens, 0, sizes.block, count),
        cut_windows(tokens, 1, sizes.block, count),
        cut_windows(rewards, 1, sizes.block, count),
        cut_windows(leader, 0, sizes.span, count),
        cut_windows(music, rate, rate * sizes.span, count, stride=rate),
    )


def cut_windows(
    sequence: Shaped[Tensor, "R T C"], first: int, length: int, count: int, stride: int = 1
) -> Shaped[Tensor, "B L C"]:
    """Return `count` windows of every row, row by row: `B = R count`.

    Args:
        sequence: rows to cut, with as many steps as the last window needs.
        first: step at which the first window begins.
        length: steps of a window.
        count: windows of a row.
        stride: steps between the beginnings of windows.
    """
    starts = first + stride * torch.arange(count, device=sequence.device)
    steps = starts[:, None] + torch.arange(length, device=sequence.device)  # (count, length)
    return sequence[:, steps].flatten(0, 1)
