"""What is measured of one dance: feet, smoothness, contact, beats, and nearness to the truth.

Every measurement gives one number a clip, in metres, seconds and degrees, so that a table of them
can be read by a person. Nothing here is bent into a score; that is what the rewards do. A measure
that does not apply to a clip is NaN there (`docs/metrics.md`).
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.body.activity import frozen_share, jitter_share
from duet_rl.body.capsules import capsule_penetration
from duet_rl.body.contact import hold_due
from duet_rl.metrics.beat import beat_measures
from duet_rl.metrics.feet import (
    floating_share,
    mean_floor_error,
    physical_foot_contact,
    slide_speed,
)
from duet_rl.metrics.holds import Agreement, agreement, hold_continuity
from duet_rl.metrics.placement import by_distance, facing_errors, root_errors
from duet_rl.metrics.smoothness import BODY_JOINTS, boundary_jumps, jerk
from duet_rl.posecodes.agreement import duet_agreement

TOUCH_DEPTH = 0.03  # m of overlap from which bodies pass through each other, and not just touch
HOLD_WITHIN = 0.20  # m between two palms that a viewer takes for a hold

FEET, SMOOTHNESS, CONTACT, BEATS = "Feet", "Smoothness", "Contact", "Beats"
TRUTH, VARIETY = "Against the true partner", "Variety"  # with the four above: titles of tables


Better = Literal["lower", "higher", "true", ""]
"""Which value is best; `true`: the true partner's, and nothing for a control."""


class Measure(NamedTuple):
    """What one column of the table means."""

    unit: str
    better: Better
    meaning: str
    group: str  # title of the table it stands in


MEASURES: dict[str, Measure] = {
    "foot_slide": Measure("m/s", "lower", "level speed of the feet while they are planted", FEET),
    "pfc": Measure("cm^2", "lower", "speed of both feet while the body accelerates (EDGE)", FEET),
    "floating_share": Measure("share", "true", "frames with no foot near the floor", FEET),
    "floor_error": Measure(
        "m", "lower", "height of the lower foot, or depth of a sunken one", FEET
    ),
    "jerk": Measure("m/s^3", "true", "third derivative of the body's joints", SMOOTHNESS),
    "boundary_jumps": Measure(
        "ratio", "true", "acceleration where tokens meet, 1 is as much as anywhere", SMOOTHNESS
    ),
    "frozen_share": Measure("share", "true", "frames in which the body hardly moves", SMOOTHNESS),
    "jitter_share": Measure("share", "true", "frames in which the body shakes", SMOOTHNESS),
    "penetration": Measure("m", "lower", "overlap of the two bodies, mean over frames", CONTACT),
    "penetration_share": Measure("share", "lower", "frames in which the bodies overlap", CONTACT),
    "hold_share": Measure("share", "true", "frames in which a hand holds the partner", CONTACT),
    "contact_precision": Measure("share", "higher", "held frames that the truth holds", CONTACT),
    "contact_recall": Measure("share", "higher", "frames held by the truth that are held", CONTACT),
    "contact_f1": Measure("F1", "higher", "frames held against the true partner's", CONTACT),
    "hold_precision": Measure("share", "higher", "holds of the follower that are due", CONTACT),
    "hold_recall": Measure("share", "higher", "holds due that the follower keeps", CONTACT),
    "hold_f1": Measure("F1", "higher", "holds of the follower against the holds due", CONTACT),
    "hold_unbroken": Measure(
        "share", "higher", "longest unbroken stretch of each hold due, of its time", CONTACT
    ),
    "hold_breaks": Measure("1/min", "lower", "letting go of a hold that is still due", CONTACT),
    "duet_codes": Measure(
        "share",
        "higher",
        "groups of duet codes (who holds what, where) that are the truth's",
        CONTACT,
    ),
    "duet_codes_kappa": Measure("kappa", "higher", "the same above chance, 1 is all", CONTACT),
    "beat_precision": Measure("share", "higher", "landings of a foot on a music beat", BEATS),
    "beat_recall": Measure("share", "true", "music beats on which a foot lands", BEATS),
    "beat_f1": Measure("F1", "higher", "landings against music beats", BEATS),
    "beat_f1_shuffled": Measure("F1", "", "the same, the music begun at any time", BEATS),
    "beat_gain": Measure("F1", "higher", "beat_f1 above that chance", BEATS),
    "beat_phase_error": Measure("ms", "lower", "from a landing to its music beat", BEATS),
    "beat_phase_shuffled": Measure("ms", "", "the same, the music begun at any time", BEATS),
    "root_error": Measure("m", "lower", "distance from the true partner's root", TRUTH),
    "root_error_near": Measure("m", "lower", "while the true couple is near", TRUTH),
    "root_error_mid": Measure("m", "lower", "while the true couple is at arm's length", TRUTH),
    "root_error_far": Measure("m", "lower", "while the true couple is far apart", TRUTH),
    "facing_error": Measure("deg", "lower", "turn away from the true partner's facing", TRUTH),
    "facing_error_near": Measure("deg", "lower", "while the true couple is near", TRUTH),
    "facing_error_mid": Measure("deg", "lower", "while it is at arm's length", TRUTH),
    "facing_error_far": Measure("deg", "lower", "while the true couple is far apart", TRUTH),
    "diversity": Measure(
        "m", "true", "distance between dances sampled with different seeds", VARIETY
    ),
}


def measure_duet(
    follower: Float[Tensor, "B T 55 3"],
    leader: Float[Tensor, "B T 55 3"] | None,
    beats: Bool[Tensor, "B T"],
    fps: float,
    hold: Bool[Tensor, "B T 2 4"] | None = None,
    partner: Float[Tensor, "B T 55 3"] | None = None,
) -> dict[str, Float[Tensor, "B"]]:
    """Return every measure of `MEASURES` that the input allows, one value a clip.

    Args:
        follower: joints, metres, Y-up, floor at y = 0; the first frame begins a token.
        leader: joints of the partner; for a dancer alone None, and what is of two is left out.
        beats: music beats.
        fps: frames per second.
        hold: the holds that are due; without them `hold_*` but for `hold_share` is left out.
        partner: joints of the true follower; without them `contact_*`, `duet_codes*`, `root_error*`
            and `facing_error*` are left out.

    Returns:
        `(B,)` each; NaN for a clip to which the measure does not apply: no beats, no foot planted,
        no hold due, no frame of that distance.
    """
    measured = {
        "foot_slide": slide_speed(follower, fps),
        "pfc": physical_foot_contact(follower, fps),
        "floating_share": floating_share(follower),
        "floor_error": mean_floor_error(follower),
        "jerk": jerk(follower, fps),
        "boundary_jumps": boundary_jumps(follower),
        "frozen_share": frozen_share(follower, fps),
        "jitter_share": jitter_share(follower, fps),
    }
    if leader is not None:
        measured |= _contact_measures(follower, leader, fps, hold, partner)
    measured |= beat_measures(follower, beats, fps)
    if partner is not None:
        for name, errors in {
            "root_error": root_errors(follower, partner),
            "facing_error": facing_errors(follower, partner),
        }.items():
            measured[name] = errors.mean(1)
            if leader is not None:
                parts = by_distance(errors, leader, partner)
                measured |= {f"{name}_{distance}": part for distance, part in parts.items()}
    return measured


def _contact_measures(
    follower: Tensor, leader: Tensor, fps: float, hold: Tensor | None, partner: Tensor | None
) -> dict[str, Tensor]:
    """Return the measures of the group `CONTACT`."""
    depth = capsule_penetration(follower, leader)
    held = hold_due(leader, follower, fps, threshold=HOLD_WITHIN)
    measured = {
        "penetration": depth.mean(1),
        "penetration_share": (depth > TOUCH_DEPTH).float().mean(1),
        "hold_share": held.flatten(2).any(-1).float().mean(1),
    }
    if partner is not None:
        truly = hold_due(leader, partner, fps, threshold=HOLD_WITHIN)
        touching, wanted = (x.flatten(2).any(-1) for x in (held, truly))
        measured |= _named("contact", agreement(touching, wanted))
        codes = duet_agreement(follower, leader, partner)
        measured |= {"duet_codes": codes.share, "duet_codes_kappa": codes.kappa}
    if hold is not None:
        lasting = hold_continuity(held, hold, fps)
        measured |= _named("hold", agreement(held, hold))
        measured |= {"hold_unbroken": lasting.unbroken, "hold_breaks": lasting.breaks}
    return measured


def diversity(joints: Float[Tensor, "seeds T 55 3"]) -> Float[Tensor, ""]:
    """Return how far dances to one leader lie apart: mean joint distance over all pairs, metres.

    Args:
        joints: one dance a seed; a single seed has no diversity, NaN.
    """
    first, second = torch.triu_indices(len(joints), len(joints), offset=1, device=joints.device)
    body = joints[:, :, :BODY_JOINTS]
    return (body[first] - body[second]).norm(dim=-1).mean()


def _named(what: str, found: Agreement) -> dict[str, Tensor]:
    return {f"{what}_{name}": value for name, value in found._asdict().items()}
