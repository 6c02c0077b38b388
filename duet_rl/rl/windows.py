"""The windows of whole dances that followers who see no more at once learn from (spec 6.3)."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from duet_rl.errors import InputError


class WindowSizes(NamedTuple):
    """What a window spans; the defaults are the paper's."""

    block: int = 30  # token steps that are judged
    look_forward: int = 29  # tokens of music and leader beyond these
    music_rate: int = 4  # frames of music a token
    look_back: int = 0  # tokens of music before these; before the dance there is silence

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
    leader: Int[Tensor, "B L K"] | None  # None: there is nobody
    # `music_rate` frames for each of `look_back` + L tokens, up to the farthest that is seen
    music: Float[Tensor, "B M C"]


def count_windows(
    follower_tokens: int,
    leader_tokens: int | None,
    music_frames: int,
    sizes: WindowSizes = WindowSizes(),
    drop_last: bool = False,
) -> int:
    """Return how many windows, one a token, fit into a dance; less than 1 if it is too short.

    Args:
        follower_tokens: so many, with the first one, which is given and not judged.
        leader_tokens: so many; Duolando's follower ends `look_forward` tokens before its leader.
            None: there is no leader.
        music_frames: so many, from the first frame of the dance on.
        sizes: of a window.
        drop_last: leave out the last one, as the original does: it counts by the leader, one less
            than its own follower and full music allow.
    """
    by_follower = follower_tokens - sizes.block
    if leader_tokens is None:
        leader_tokens = follower_tokens + sizes.look_forward
    by_leader = leader_tokens - sizes.span + (-1 if drop_last else 1)
    by_music = music_frames // sizes.music_rate - sizes.span
    return min(by_follower, by_leader, by_music)


def replay_windows(
    tokens: Int[Tensor, "R steps S"],
    rewards: Float[Tensor, "R steps S"],
    leader: Int[Tensor, "R leader K"] | None,
    music: Float[Tensor, "R frames C"],
    sizes: WindowSizes = WindowSizes(),
    drop_last: bool = False,
) -> Windows:
    """Return all windows of `R` dances that are equally long.

    Args:
        tokens: of the follower, whole dances with their first token.
        rewards: of the tokens.
        leader: tokens of the leader, if there is one.
        music: features of the frames; the music of a window begins one token after its leader.
        sizes: of a window.
        drop_last: leave out the last window, as the original does.

    Raises:
        InputError: no window fits into the dances.
    """
    led = None if leader is None else leader.shape[1]
    count = count_windows(tokens.shape[1], led, music.shape[1], sizes, drop_last)
    if count < 1:
        raise InputError(
            f"dances of {tokens.shape[1]} tokens, {led or 'none'} of the leader and "
            f"{music.shape[1]} frames of music have no window of {sizes.block} tokens, "
            f"{sizes.span} of the leader and {sizes.span} x {sizes.music_rate} frames after the "
            "first token; dance longer"
        )
    rate, seen = sizes.music_rate, sizes.look_back + sizes.span
    heard = nn.functional.pad(music, (0, 0, sizes.look_back * rate, 0))
    return Windows(
        cut_windows(tokens, 0, sizes.block, count),
        cut_windows(tokens, 1, sizes.block, count),
        cut_windows(rewards, 1, sizes.block, count),
        None if leader is None else cut_windows(leader, 0, sizes.span, count),
        cut_windows(heard, rate, rate * seen, count, stride=rate),
    )


def counted_actions(count: int, block: int, stride: int = 1) -> Bool[Tensor, "count N"]:
    """Return which tokens of the windows of a dance are actions that Bailando's actor learns from.

    Each token of a dance counts in one window, in which it has the history that it was sampled
    with: all of the first window, and of later ones the newest. The last of a window lends its
    value to the one before and counts nowhere (spec bailando, section 5).

    Args:
        count: windows of a dance, in their order.
        block: tokens of a window that are judged.
        stride: tokens between the beginnings of windows.
    """
    counted = torch.zeros(count, block, dtype=torch.bool)
    counted[0, :-1] = True
    counted[1:, max(block - 1 - stride, 0) : -1] = True
    return counted


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
