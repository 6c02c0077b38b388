"""How well the codes of one dance agree with those of another: a number a frame, and a clip."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.posecodes.catalogue import DUET_CODES, Catalogue


class CodeAgreement(NamedTuple):
    """How well codes that were found agree with those that were wanted, `(B,)` each."""

    share: Float[Tensor, "B"]  # of groups and frames that show the wanted class
    kappa: Float[Tensor, "B"]  # the same, 0 for what chance gives and 1 for all


def frame_agreement(
    found: Int[Tensor, "*batch G"], wanted: Int[Tensor, "*batch G"]
) -> Float[Tensor, "*batch"]:
    """Return the share of groups that show the wanted class, in [0, 1]: a term for a reward."""
    return (found == wanted).float().mean(-1)


def code_agreement(
    found: Int[Tensor, "B T G"], wanted: Int[Tensor, "B T G"], catalogue: Catalogue
) -> CodeAgreement:
    """Return how well codes agree, over all groups and frames of each clip.

    Most groups stay in one class for most of a dance, so that any two dances agree on most codes.
    `kappa` takes that out: (agreed - chance) / (all - chance), both summed over groups; chance is
    how often codes agree that come as often, but at unrelated times (Cohen, A coefficient of
    agreement for nominal scales, 1960). It is NaN for a clip in which every group of both dances
    stays in one and the same class: such an agreement says nothing.
    """
    agreed = (found == wanted).float().mean(1)  # (B, G)
    often = [catalogue.k_hot(codes).float().mean(1) for codes in (found, wanted)]  # (B, C)
    chance = (often[0] * often[1]).split(catalogue.classes, dim=-1)
    by_chance = torch.stack([group.sum(-1) for group in chance], dim=-1)
    left = (1 - by_chance).sum(-1)
    gained = (agreed - by_chance).sum(-1)
    return CodeAgreement(agreed.mean(-1), torch.where(left > 0, gained / left, torch.nan))


def duet_agreement(
    follower: Float[Tensor, "B T J 3"],
    leader: Float[Tensor, "B T J 3"],
    partner: Float[Tensor, "B T J 3"],
    catalogue: Catalogue = DUET_CODES,
) -> CodeAgreement:
    """Return how well a follower holds, touches and faces the leader as the true partner does.

    Args:
        follower: joints to measure, metres.
        leader: joints of the partner of both.
        partner: joints of the true follower.
        catalogue: codes of a couple.

    Returns:
        One value a clip; NaN for clips with joints that are not known.
    """
    known = torch.stack([torch.isfinite(x).flatten(1).all(1) for x in (follower, leader, partner)])
    known = known.all(0)
    held, led, true = (
        torch.where(known[:, None, None, None], x, 0.0) for x in (follower, leader, partner)
    )
    found, wanted = catalogue.codes(held, led), catalogue.codes(true, led)
    agreement = code_agreement(found, wanted, catalogue)
    return CodeAgreement(*(torch.where(known, value, torch.nan) for value in agreement))
