"""Retrieval: real rows of pose codes that show what an edit wants, and fit what it leaves alone.

One edited group contradicts the many others that tell of the same limb, and a decoder follows the
majority. So all groups that a moved part changes are copied from one row of a bank of real ones.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config
from duet_rl.edit.limbs import groups_of
from duet_rl.edit.wants import Want, in_words
from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_CENTRE = FRAMES_PER_TOKEN // 2  # the frame of a token whose codes are its row
_WANTED = 10.0  # weight of wanted groups; it decides where no row shows all of them
_END = 1.0  # what it costs to stay on the last row of a dance, which nothing followed, in groups
_OWN = -1  # number of the take itself among the bank's
_UNFIT = 1e6  # what a row costs that does not show what is wanted


class RetrieveConfig(Config):
    """What makes a row of the bank fit."""

    own: float = Field(0.25, ge=0)  # weight of groups that may change, 1 of those that may not
    jump: float = Field(0.5, ge=0)  # weight of groups that differ from what followed the row before
    candidates: int = Field(64, gt=0)  # rows a token among which the best path is sought
    whole: bool = True  # all groups that a moved part changes are copied; False: the wanted alone
    # What to do where no row shows all that is wanted; steps from the take's own classes always get
    # the nearest row.
    unseen: Literal["refuse", "nearest"] = "refuse"
    reach: int = Field(4, ge=0)  # tokens around the edit that are replaced too: the decoder's view


def propagate(
    rows: Int[Tensor, "N S"],
    want: Want,
    bank: Int[Tensor, "R S"],
    clips: Int[Tensor, "R"],
    config: RetrieveConfig,
) -> Int[Tensor, "N S"]:
    """Return rows of codes in which one edit has been made, with all groups that it changes.

    The take's own rows are candidates beside those of the bank, so that a stretch which shows the
    edit already stays as it is. A path through both minimises, over tokens, how much a row differs
    from the take in groups that the edit leaves alone, a little how much in the others, and how
    much it differs from the row that followed its predecessor (Viterbi 1967): a stretch of real
    dance costs no jumps.

    Args:
        rows: of the take, or of an edit before; one a token.
        want: what shall be shown.
        bank: real rows, in order.
        clips: number of the take that each was cut from.
        config: what fits.

    Raises:
        InputError: no row of the bank shows what is wanted.
    """
    known = len(bank)
    bank = torch.cat([bank, rows.to(bank)])
    clips = torch.cat([clips, clips.new_full((len(rows),), _OWN)])
    tokens = want.tokens(len(rows), config.reach)
    classes = want.classes_at(tokens * FRAMES_PER_TOKEN + _CENTRE)  # (n, G, C)
    groups = list(want.groups)
    # `shows[n, r]`: row r has, in every wanted group, a class that would do at token n.
    shows = torch.ones(len(tokens), len(bank), dtype=torch.bool)
    for place, group in enumerate(groups):
        shows &= classes[:, place, bank[:, group].long()]
    seen = shows.any(1)
    if config.unseen == "refuse" and not want.steps and not seen.all():
        raise InputError(_no_row(want, bank[:known], classes))
    useful = (shows.any(0) if seen.all() else torch.ones(len(bank)) > 0).nonzero()[:, 0]
    target = rows[tokens].clone()
    target[:, groups] = nearest_class(target[:, groups], classes)
    moved = list(groups_of(want.parts))
    scale = 1 / (torch.tensor(BODY_CODES.classes) - 1)
    weight = torch.ones(len(BODY_CODES))
    weight[moved] = config.own
    fit = _apart(target, bank[useful], scale * weight)
    wanted = torch.zeros(len(BODY_CODES)).index_fill(0, torch.tensor(groups), _WANTED)
    fit = fit + _apart(target, bank[useful], scale * wanted)
    fit = fit.masked_fill(~shows[:, useful] & seen[:, None], _UNFIT)
    real = (bank * scale)[:, moved]
    row = torch.arange(len(bank))
    after = (row + 1).clamp_max(len(bank) - 1)
    ends = (after == row) | (clips[after] != clips)
    after = torch.where(ends, row, after)
    jumps = _Jumps(real[useful], real[after[useful]], ends[useful], config.jump)
    path = useful[_best_path(fit, jumps, config.candidates)]
    copied = moved if config.whole else groups
    edited = rows.clone()
    edited[tokens[:, None], torch.tensor(copied)] = bank[path][:, copied].to(rows)
    return edited


def nearest_class(codes: Int[Tensor, "N G"], classes: Bool[Tensor, "N G C"]) -> Int[Tensor, "N G"]:
    """Return for each code the nearest class of those that would do."""
    steps = (torch.arange(classes.shape[-1]) - codes[..., None]).abs()
    return steps.masked_fill(~classes, classes.shape[-1]).argmin(-1)


def strangeness(codes: Int[Tensor, "N S"], bank: Int[Tensor, "R S"]) -> Float[Tensor, "N"]:
    """Return how far each row is from the nearest real one: the mean over groups, 0 to 1.

    A class off counts by how many classes the group has, so that 1 is the other end of all scales.
    """
    scale = 1 / (torch.tensor(BODY_CODES.classes) - 1)
    return _apart(codes, bank, scale).amin(1) / len(BODY_CODES)


def _apart(
    codes: Int[Tensor, "N S"], bank: Int[Tensor, "R S"], weight: Float[Tensor, "S"]
) -> Float[Tensor, "N R"]:
    """Return how many classes codes and rows are apart, weighed by group."""
    counted = weight > 0
    return torch.cdist((codes * weight)[:, counted], (bank * weight)[:, counted], p=1)


class _Jumps(NamedTuple):
    """What it costs to go from row to row."""

    rows: Float[Tensor, "U G"]
    after: Float[Tensor, "U G"]  # what followed each row, or itself at the end of a dance
    ends: Bool[Tensor, "U"]
    weight: float

    def cost(self, before: Int[Tensor, "K"], now: Int[Tensor, "K"]) -> Float[Tensor, "K K"]:
        """Return the cost from each row of `before` to each of `now`."""
        apart = torch.cdist(self.after[before], self.rows[now], p=1)
        return self.weight * (apart + _END * self.ends[before, None])


def _best_path(fit: Float[Tensor, "N U"], jumps: _Jumps, candidates: int) -> Int[Tensor, "N"]:
    """Return the cheapest row of each token: how it fits, and how it follows the one before."""
    chosen = fit.topk(min(candidates, fit.shape[1]), largest=False).indices  # (N, K)
    cost, back = fit[0, chosen[0]], []
    for before, now, unary in zip(chosen[:-1], chosen[1:], fit[1:], strict=True):
        best = (cost[:, None] + jumps.cost(before, now)).min(0)
        cost = best.values + unary[now]
        back.append(best.indices)
    place = int(cost.argmin())
    path = [int(chosen[-1, place])]
    for pointers, now in zip(reversed(back), chosen[:-1].flip(0), strict=True):
        place = int(pointers[place])
        path.append(int(now[place]))
    return torch.tensor(path[::-1])


def _no_row(want: Want, bank: Tensor, classes: Tensor) -> str:
    """Say which of the wanted codes the bank has never, or that it has them never at once."""
    anywhere = classes.any(0)
    wishes = [
        in_words(group, anywhere[place].nonzero()[:, 0].tolist())
        for place, group in enumerate(want.groups)
    ]
    shown = [anywhere[p, bank[:, g].long()].any() for p, g in enumerate(want.groups)]
    never = [wish for wish, found in zip(wishes, shown, strict=True) if not found]
    lacks = f"shows {' or '.join(never)}" if never else f"shows at once {'; '.join(wishes)}"
    return (
        f"{want.name!r}: none of the {len(bank)} real poses that the codec knows {lacks}; ask for "
        "less, take the nearest pose (--nearest), or train a codec on dances that do it"
    )
