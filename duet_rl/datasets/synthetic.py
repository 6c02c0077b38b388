"""Synthetic dances: couples and soloists dance waltz, tango and salsa by rule, to made music."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from duet_rl.audio.grooves import GROOVES, Style
from duet_rl.audio.synth import SAMPLE_RATE, render_rhythm
from duet_rl.body.contact import HOLD_TARGETS
from duet_rl.body.kinematics import forward_kinematics, global_to_local
from duet_rl.body.motion import Duet
from duet_rl.body.skeleton import Skeleton, default_skeleton
from duet_rl.body.stage import put_on_stage, stage
from duet_rl.config import Config
from duet_rl.datasets.synthetic_arms import Body, dance_alone, join_couple
from duet_rl.datasets.synthetic_body import Noise, Posture, draw_noise, stand
from duet_rl.datasets.synthetic_curves import through_beats
from duet_rl.datasets.synthetic_figures import FIGURES, HOLDS, Beat, Figure, Hold, choreograph
from duet_rl.datasets.synthetic_solo import arms_of
from duet_rl.datasets.synthetic_steps import (
    HOLD_DISTANCE,
    Placement,
    place_couple,
    place_soloist,
    walk,
)
from duet_rl.errors import InputError

HoldChoice = Literal["any", "closed", "open"]

LEADER_HEIGHT = 1.05  # times the default skeleton
FPS = 30.0

_TEMPI: dict[Style, tuple[float, float]] = {  # beats a minute
    "waltz": (84, 104),
    "tango": (108, 126),
    "salsa": (140, 160),
}
_STEPS: dict[Style, float] = {"waltz": 0.30, "tango": 0.30, "salsa": 0.20}  # m
_STEP_SPREAD = 0.12  # a share; how much choreographies differ in their steps
_ROOM = 0.6  # m; a dance begins so far from the middle of the room at most

_POSTURES: dict[Style, tuple[Posture, Posture]] = {  # leader, follower
    "waltz": (
        Posture(gaze=0.45, lean=0.02, opening=0.14),
        Posture(gaze=0.5, lean=-0.05, chin=-0.06, opening=-0.14),
    ),
    "tango": (
        Posture(flex=0.014, hip_roll=0.015, gaze=0.4, lean=0.05, opening=0.16),
        Posture(flex=0.014, hip_roll=0.015, gaze=0.45, lean=-0.02, opening=-0.16),
    ),
    "salsa": (
        Posture(flex=0.012, hip_roll=0.07, hip_shift=0.012, lean=0.05, chin=0.06, opening=0.08),
        Posture(flex=0.010, hip_roll=0.12, hip_shift=0.02, lean=0.03, opening=-0.08),
    ),
}


class CouplesConfig(Config):
    """What the synthetic couples dance."""

    choreographies: int = Field(36, ge=1)  # how many; each is one clip
    styles: tuple[Style, ...] = Field(("waltz", "tango", "salsa"), min_length=1)  # in turn
    seconds: float = Field(10.0, ge=2.0)  # length of a clip
    tempo: float | None = Field(None, gt=40, lt=240)  # beats a minute; drawn if left out
    step: float = Field(1.0, gt=0, le=1.3)  # size of steps, times the style's own
    turns: bool = True  # figures that turn the couple or the follower
    hold: HoldChoice = "any"  # open: palms only, or let go; closed: as in ballrooms
    noise: float = Field(1.0, ge=0, le=2)  # how human the dancers are; 0 dances by the book
    seed: int = Field(0, ge=0)


class SyntheticConfig(CouplesConfig):
    """What the synthetic dancers dance, and whether they dance alone."""

    solo: bool = False  # a dancer alone, with the steps of the leader and free arms


DEFAULT = SyntheticConfig()


@dataclass(frozen=True, eq=False)
class SyntheticDuet:
    """A dance with its music and all that is known about it; a soloist's leader is the stage."""

    name: str
    duet: Duet
    samples: Float[np.ndarray, "samples"]  # mono, in [-1, 1]
    sample_rate: int  # Hz
    style: Style
    tempo: float  # beats a minute
    beats: Float[Tensor, "K"]  # s; times of the true beats
    hold: Bool[Tensor, "T 2 4"]  # which holds are due, as in `DuetClip`
    figures: tuple[str, ...]  # names of the figures in their order


def synthesize(choreography: int, config: SyntheticConfig = DEFAULT) -> SyntheticDuet:
    """Return one dance. The same index and configuration give the same dance.

    The leader steps on the beat; the follower takes the complementary steps in the couple's axes.
    Planted feet do not slide, joined palms meet, and both follow their skeletons. A soloist takes
    the leader's steps and whoever's turns, and the hands come to a new pose on every beat.

    Args:
        choreography: which one, at least 0.
        config: what all of them have in common.
    """
    rng = np.random.default_rng((config.seed, choreography))
    style = config.styles[choreography % len(config.styles)]
    tempo = config.tempo or float(rng.uniform(*_TEMPI[style]))
    period = 60 / tempo
    frames = round(config.seconds * FPS)
    figures = _allowed(style, config)
    bar = GROOVES[style].metre
    lead_in = float(rng.uniform(1, len(figures[0].beats)))  # beats danced before the clip begins
    count = math.ceil(lead_in + config.seconds / period) + 2
    dance = choreograph(figures, count, rng)
    seconds = torch.arange(frames, dtype=torch.float64) / FPS
    beat = lead_in + seconds / period
    make = _dance_alone if config.solo else _dance
    duet, hold = make(dance, beat, seconds, style, config, rng)
    phase = -lead_in * period % (bar * period)
    samples = render_rhythm(tempo, bar, config.seconds, style, int(rng.integers(1 << 31)), phase)
    first = math.ceil(lead_in)
    times = (torch.arange(first, first + count, dtype=torch.float64) - lead_in) * period
    return SyntheticDuet(
        name=f"{style}_{choreography:03d}",
        duet=duet,
        samples=samples,
        sample_rate=SAMPLE_RATE,
        style=style,
        tempo=tempo,
        beats=times[times < config.seconds],
        hold=hold,
        figures=_names(dance, first, first + math.ceil(config.seconds / period)),
    )


def leader_skeleton() -> Skeleton:
    """Return the bones of every synthetic leader: the default ones, a little longer."""
    return Skeleton(default_skeleton().offsets * LEADER_HEIGHT, "leader")


def _allowed(style: Style, config: SyntheticConfig) -> tuple[Figure, ...]:
    """Return the figures of a style that the configuration leaves."""
    left = tuple(
        figure
        for figure in FIGURES[style]
        if (config.turns or not any(beat.turn or beat.spin for beat in figure.beats))
        and (
            config.solo
            or config.hold == "any"
            or (figure.hold == "closed") == (config.hold == "closed")
        )
    )
    if not left:
        raise InputError(
            f"no figure of the {style} has the hold {config.hold!r}; leave {style!r} out of the "
            "styles, or set the hold to 'any'"
        )
    return left


def _dance(
    dance: list[tuple[Figure, Beat]],
    beat: Tensor,
    seconds: Tensor,
    style: Style,
    config: SyntheticConfig,
    rng: np.random.Generator,
) -> tuple[Duet, Tensor]:
    """Return the couple, and which holds are due, `(T, 2, 4)`."""
    start, step = _start(rng), _step(style, config, rng)
    steps: list[tuple[Hold, Beat]] = [(figure.hold, beat) for figure, beat in dance]
    placements = place_couple(steps, step, start, config.noise, rng)
    rise = torch.tensor([[beat.rise] for _, beat in dance], dtype=torch.float64)
    skeletons = (leader_skeleton(), default_skeleton())
    bodies = [
        _body(placement, beat, rise, posture, draw_noise(seconds, config.noise, rng), skeleton)
        for placement, posture, skeleton in zip(
            placements, _POSTURES[style], skeletons, strict=True
        )
    ]
    taken = _holds_taken([hold for hold, _ in steps])
    keys = torch.tensor([[float(hold == name) for name in HOLDS] for hold in taken])
    weights = through_beats(keys.double(), beat)
    return join_couple(bodies[0], bodies[1], weights, FPS), _holds_due(weights)


def _dance_alone(
    dance: list[tuple[Figure, Beat]],
    beat: Tensor,
    seconds: Tensor,
    style: Style,
    config: SyntheticConfig,
    rng: np.random.Generator,
) -> tuple[Duet, Tensor]:
    """Return the stage and the dancer, and holds, none of which is due."""
    start, step = _start(rng), _step(style, config, rng)
    steps = [beat for _, beat in dance]
    placement = place_soloist(steps, step, start, config.noise, rng)
    rise = torch.tensor([[beat.rise] for beat in steps], dtype=torch.float64)
    posture = replace(_POSTURES[style][0], opening=0.0, gaze=0.0)  # which are for a partner
    noise = draw_noise(seconds, config.noise, rng)
    body = _body(placement, beat, rise, posture, noise, default_skeleton())
    dancer = dance_alone(body, arms_of(style, len(dance), rng), beat, FPS)
    frames = len(beat)
    hold = torch.zeros(frames, 2, len(HOLD_TARGETS), dtype=torch.bool)
    return Duet(stage(frames, FPS), put_on_stage(dancer)), hold


def _start(rng: np.random.Generator) -> tuple[float, float, float]:
    """Return where a dance begins: x and z, metres, and yaw, radians."""
    x, z = rng.uniform(-_ROOM, _ROOM, 2)
    return x, z, rng.uniform(-math.pi, math.pi)


def _step(style: Style, config: SyntheticConfig, rng: np.random.Generator) -> float:
    """Return the length of the steps of one dance, metres."""
    spread = float(rng.uniform(1 - _STEP_SPREAD, 1 + _STEP_SPREAD))
    return _STEPS[style] * config.step * spread


def _body(
    placement: Placement,
    beat: Tensor,
    rise: Tensor,
    posture: Posture,
    noise: Noise,
    skeleton: Skeleton,
) -> Body:
    """Return a dancer whose arms are not yet placed."""
    feet = walk(placement, beat, skeleton)
    root, rotations = stand(placement, feet, beat, rise, posture, noise, skeleton)
    offsets = skeleton.offsets.double()
    joints = forward_kinematics(global_to_local(rotations), root, offsets).joints
    return Body(root, rotations, joints, skeleton, noise, _swing(placement, beat))


def _swing(placement: Placement, beat: Tensor) -> Tensor:
    over = (placement.weight[:, :1] - placement.weight[:, 1:]).sign()
    return through_beats(over, beat)[:, 0]


def _holds_taken(holds: list[Hold]) -> list[Hold]:
    """Return the hold of the arms on every beat: let go before bodies part, taken once they met."""
    taken = holds[:1]
    for last, new in pairwise(holds):
        taken.append(last if HOLD_DISTANCE[new] < HOLD_DISTANCE[last] else new)
    return taken


def _holds_due(weights: Float[Tensor, "T 5"]) -> Bool[Tensor, "T 2 4"]:
    """Return which holds of the follower's hands are due: those fully taken."""
    share = dict(zip(HOLDS, weights.unbind(1), strict=True))
    left_hand, right_hand = 0, 1
    due = torch.zeros(len(weights), 2, len(HOLD_TARGETS), dtype=torch.bool)
    left_palm, right_palm, shoulder = (
        HOLD_TARGETS.index(target) for target in ("left_palm", "right_palm", "shoulder")
    )
    full = 1 - 1e-6
    due[:, right_hand, left_palm] = 1 - share["free"] >= full
    due[:, left_hand, right_palm] = share["two_hands"] >= full
    due[:, left_hand, shoulder] = share["closed"] >= full
    return due


def _names(dance: list[tuple[Figure, Beat]], start: int, stop: int) -> tuple[str, ...]:
    """Return the names of the figures danced from beat `start` to `stop`, each once a time."""
    names = []
    for index in range(start, min(stop, len(dance))):
        figure, beat = dance[index]
        if index == start or beat is figure.beats[0]:
            names.append(figure.name)
    return tuple(names)
