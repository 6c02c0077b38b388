"""The nudge: joints that may move turn a little further until the body shows what is wanted.

Poses that a codec decodes come near to what their codes say, and rarely hit all of it. Here a
smooth turn of each joint that may move, and for legs a smooth rise or fall of the root, minimise

    how far the codes are from what is wanted  (`Measure`)
  + how far standing feet slide against the source's, and how far feet leave its floor  (legs)
  + how large and how rough the turns are,

from the decoded pose on, by L-BFGS (Liu and Nocedal, Mathematical Programming 1989). Turns are
cubic B-splines over time, one knot a token, so that they have no corners; a weight in time fades
them out where the edit ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import FEET, JOINT_NAMES, UP
from duet_rl.config import Config
from duet_rl.edit.body import Body
from duet_rl.edit.feet import planted_sides, sent_sides
from duet_rl.edit.wants import Measure, Want
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_CENTIMETRE = 0.01  # m
_AROUND = 2 * FRAMES_PER_TOKEN  # frames before and after what may move that are looked at
_HISTORY = 10  # steps that the optimiser remembers
# How freely joints turn beside the others: an elbow bends, a collar hardly moves.
_FREEDOM = {"collar": 0.3, "wrist": 0.5, "foot": 0.3}


class NudgeConfig(Config):
    """How the nudge weighs what it minimises."""

    steps: int = Field(60, ge=0)  # of L-BFGS; 0 leaves decoded poses as they are
    want: float = Field(3.0, gt=0)  # weight of what is wanted
    turn: float = Field(0.02, ge=0)  # of the size of turns, rad^2
    rough: float = Field(0.1, ge=0)  # of how much turns differ from knot to knot, rad^2
    feet: float = Field(0.05, ge=0)  # of feet that slide or leave the floor, cm^2
    place: float = Field(0.002, ge=0)  # of feet that stand elsewhere than the source's, cm^2


def nudge(
    body: Body,
    source: Float[Tensor, "T 55 3"],
    offsets: Float[Tensor, "55 3"],
    wants: Sequence[Want],
    weights: Float[Tensor, "T 55"],
    rises: Float[Tensor, "T"] | None,
    config: NudgeConfig,
) -> Body:
    """Return the body with its joints turned so that it shows what is wanted.

    Args:
        body: decoded and blended.
        source: joints of the take before it was edited, whose feet stand where they shall stand.
        offsets: the bones.
        wants: of all edits.
        weights: how much each joint may turn in each frame, 0 to 1.
        rises: how much the root may rise or fall in each frame; None where no leg moves.
        config: what counts how much.
    """
    moving = weights.amax(0).nonzero()[:, 0].tolist()
    if not moving or not config.steps:
        return body
    seen = weights.amax(1).nonzero()[:, 0]
    window = slice(max(int(seen[0]) - _AROUND, 0), int(seen[-1]) + 1 + _AROUND)
    problem = _Problem(
        Body(*(values[window] for values in body)),
        source[window],
        offsets,
        [want.cut(window) for want in wants],
        weights[window][:, moving],
        None if rises is None else rises[window],
        moving,
        config,
    )
    rotations, root = (values.clone() for values in body)
    rotations[window], root[window] = problem.solved()
    return Body(rotations, root)


class _Problem:
    """Turns of joints, and heights of the root, that show what is wanted; knot by knot."""

    def __init__(
        self,
        body: Body,
        source: Float[Tensor, "T 55 3"],
        offsets: Float[Tensor, "55 3"],
        wants: Sequence[Want],
        weights: Float[Tensor, "T M"],
        rises: Float[Tensor, "T"] | None,
        moving: list[int],
        config: NudgeConfig,
    ) -> None:
        self.body, self.offsets, self.config = body, offsets, config
        self.moving, self.rises = moving, rises
        freedom = [_FREEDOM.get(JOINT_NAMES[j].partition("_")[2], 1.0) for j in moving]
        self.weights = weights * weights.new_tensor(freedom)
        self.spline = Spline.over(len(source))
        self.measure, self.feet = Measure(wants, source), _Feet(source, wants)
        self.turns = torch.zeros(self.spline.knots, len(moving), 3, requires_grad=True)
        self.heights = torch.zeros(self.spline.knots, requires_grad=True)

    def solved(self) -> Body:
        """Return the body after `config.steps` steps."""
        optimiser = torch.optim.LBFGS(
            [self.turns, self.heights],
            max_iter=self.config.steps,
            history_size=_HISTORY,
            line_search_fn="strong_wolfe",
        )

        def step() -> Tensor:
            optimiser.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimiser.step(step)
        with torch.no_grad():
            return self.turned()

    def loss(self) -> Tensor:
        """Return what is to be minimised."""
        config, turned = self.config, self.turned()
        joints = forward_kinematics(turned.rotations, turned.root, self.offsets).joints
        rough = self.turns.diff(dim=0).square().sum() + self.heights.diff(n=2).square().sum()
        total = config.want * self.measure(joints).square().sum() + config.rough * rough
        total = total + config.turn * self.turns.square().sum()
        if self.rises is None:
            return total
        slides, away = self.feet.sliding(joints), self.feet.away(joints)
        return total + config.feet * slides + config.place * away

    def turned(self) -> Body:
        """Return the body with the turns made."""
        turn = self.spline.at(self.turns) * self.weights[..., None]
        rotations, root = self.body.rotations.clone(), self.body.root.clone()
        rotations[:, self.moving] = rotations[:, self.moving] @ axis_angle_to_matrix(turn)
        if self.rises is not None:
            root[:, UP] = root[:, UP] + self.spline.at(self.heights) * self.rises
        return Body(rotations, root)


class Spline(NamedTuple):
    """A uniform cubic B-spline with a knot a token: every frame lies between four knots."""

    first: Int[Tensor, "T"]  # of the four
    shares: Float[Tensor, "T 4"]  # how much each of them counts
    knots: int

    @classmethod
    def over(cls, frames: int) -> "Spline":
        """Return the spline of so many frames."""
        time = torch.arange(frames)
        first = time // FRAMES_PER_TOKEN
        beyond = (time % FRAMES_PER_TOKEN) / FRAMES_PER_TOKEN
        away = (beyond[:, None] - torch.arange(-1, 3)).abs()
        near = 2 / 3 - away.square() + away**3 / 2
        far = (2 - away).clamp_min(0) ** 3 / 6
        return cls(first, torch.where(away < 1, near, far), frames // FRAMES_PER_TOKEN + 4)

    def at(self, knots: Float[Tensor, "K *rest"]) -> Float[Tensor, "T *rest"]:
        """Return the values of all frames from those of the knots."""
        parts = [
            share.view(-1, *[1] * (knots.dim() - 1)) * knots[self.first + place]
            for place, share in enumerate(self.shares.unbind(1))
        ]
        return torch.stack(parts).sum(0)


class _Feet:
    """Where feet shall be: where a foot of the source is planted, it moves as the source's does.

    It may so stand elsewhere, by a constant shift, for as long as it stands.
    """

    def __init__(self, source: Float[Tensor, "T 55 3"], wants: Sequence[Want]) -> None:
        self.source = source[:, FEET]
        self.stands = planted_sides(source, wants).repeat(1, 2)  # (T, 4): ankles, then toes
        self.stays = ~sent_sides(wants, len(source)).repeat(1, 2)

    def sliding(self, joints: Float[Tensor, "T 55 3"]) -> Float[Tensor, ""]:
        """Return how far planted feet slide, and stand above or below where they did, cm^2."""
        shift = (joints[:, FEET] - self.source) / _CENTIMETRE
        both = self.stands[1:] & self.stands[:-1]
        slides = shift.diff(dim=0).square().sum(-1) * both
        return slides.sum() * FRAMES_PER_TOKEN + (shift[..., UP].square() * self.stands).sum()

    def away(self, joints: Float[Tensor, "T 55 3"]) -> Float[Tensor, ""]:
        """Return how far feet are from where the source's are, cm^2."""
        away = ((joints[:, FEET] - self.source) / _CENTIMETRE).square().sum(-1)
        return (away * self.stays).sum()
