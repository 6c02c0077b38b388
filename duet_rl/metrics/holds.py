"""Holds: whether a follower holds what should be held, only that, and without letting go."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from duet_rl.metrics.masked import ratio

SECONDS_A_MINUTE = 60.0


class Agreement(NamedTuple):
    """How well what was found agrees with what was wanted, `(B,)` each."""

    precision: Float[Tensor, "B"]  # share of the found that was wanted; NaN where none was found
    recall: Float[Tensor, "B"]  # share of the wanted that was found; NaN where none was wanted
    f1: Float[Tensor, "B"]  # harmonic mean of both; NaN where none was found and none wanted


class Continuity(NamedTuple):
    """How well holds last, `(B,)` each."""

    unbroken: Float[Tensor, "B"]  # share of the time due that lies in the longest stretches
    breaks: Float[Tensor, "B"]  # 1 / min: how often a hold lets go before its time


def agreement(found: Bool[Tensor, "B *cells"], wanted: Bool[Tensor, "B *cells"]) -> Agreement:
    """Return precision, recall and F1 of each clip, over all of its cells."""
    found, wanted = found.flatten(1), wanted.flatten(1)
    right, of_found, of_wanted = (found & wanted).sum(1), found.sum(1), wanted.sum(1)
    return Agreement(
        ratio(right, of_found), ratio(right, of_wanted), ratio(2 * right, of_found + of_wanted)
    )


def hold_f1(held: Bool[Tensor, "B T 2 4"], due: Bool[Tensor, "B T 2 4"]) -> Float[Tensor, "B"]:
    """Return the F1 of holds per frame, hand and target; NaN where none is due and none is held."""
    return agreement(held, due).f1


def hold_continuity(
    held: Bool[Tensor, "B T 2 4"], due: Bool[Tensor, "B T 2 4"], fps: float
) -> Continuity:
    """Return how well the due holds last, each from when it begins to be due until it ends.

    Args:
        held: holds of the follower: hand against target.
        due: holds of the true partner.
        fps: frames per second.

    Returns:
        `unbroken`: the longest stretch of each due hold without a break, summed over the holds,
        over the time that they are due; NaN where none is due. `breaks`: how often a hand lets go
        of what it goes on to be due on, a minute of its holding; NaN where it never holds.
    """
    due_rows, kept = (x.flatten(2).mT for x in (due, held & due))  # (B, 8, T)
    frame = torch.arange(due.shape[1], device=due.device)
    last_off = torch.where(kept, -1, frame).cummax(-1).values
    stretch = torch.where(kept, frame - last_off, 0)  # frames since the hand took hold
    begins = due_rows & ~pad(due_rows, (1, 0))[..., :-1]
    number = begins.cumsum(-1)  # of the due hold; 0 before the first
    longest = stretch.new_zeros((*number.shape[:2], due.shape[1] + 1))
    longest = longest.scatter_reduce(-1, number, stretch, "amax")
    lets_go = pad(kept, (1, 0))[..., :-1] & due_rows & ~kept
    frames, minutes = due_rows.sum((1, 2)), kept.sum((1, 2)) / (fps * SECONDS_A_MINUTE)
    return Continuity(ratio(longest.sum((1, 2)), frames), ratio(lets_go.sum((1, 2)), minutes))
