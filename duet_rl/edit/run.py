"""An edit from end to end: a take and what shall change, to the changed take and what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.stage import stage
from duet_rl.captions.edits import Edit
from duet_rl.edit.body import Body
from duet_rl.edit.decode import CodecPoser, Poser, whole_tokens
from duet_rl.edit.feet import plant
from duet_rl.edit.holds import keep_hands
from duet_rl.edit.limbs import ARMS
from duet_rl.edit.measure import measure, part_movement
from duet_rl.edit.nudge import nudge
from duet_rl.edit.retrieve import propagate
from duet_rl.edit.settings import EditConfig
from duet_rl.edit.transfer import blend, changed_weights, joint_weights, leg_weights
from duet_rl.edit.wants import FPS, Want, excluded_by, wants_of
from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.tokenizers.codec import AnyCodec
from duet_rl.tokenizers.codes_pose import CENTRE
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

ROUNDING = 1e-4  # m by which arithmetic alone may move a joint


@dataclass(frozen=True, eq=False)
class Edited:
    """A take after its edits, and what they did.

    Args:
        motion: the edited take.
        source: the take before, at the same frame rate.
        leader: the partner of both, if there is one.
        wants: what was asked, one an edit.
        requested: of which frames each edit was asked.
        realised: which frames show all that each edit wants, asked or not.
        realised_before: the same of the take before.
        before: measures of the take, see `measure.MEASURED`.
        after: the same of the edited one.
        moved: how far each part of the body has moved in the frames that were asked, mm.
    """

    motion: Motion
    source: Motion
    leader: Motion | None
    wants: tuple[Want, ...]
    requested: Bool[Tensor, "E T"]
    realised: Bool[Tensor, "E T"]
    realised_before: Bool[Tensor, "E T"]
    before: Mapping[str, float]
    after: Mapping[str, float]
    moved: Mapping[str, float]

    @property
    def rates(self) -> tuple[float, ...]:
        """Of each edit, the share of the asked frames that show it."""
        return _rates(self.requested, self.realised)

    @property
    def rates_before(self) -> tuple[float, ...]:
        """The same of the take before."""
        return _rates(self.requested, self.realised_before)

    @property
    def dance(self) -> Motion | Duet:
        """The edited dancer, beside the leader if there is one."""
        return self.motion if self.leader is None else Duet(self.leader, self.motion)


def edit(
    motion: Motion,
    edits: Sequence[Edit],
    codec: AnyCodec,
    leader: Motion | None = None,
    config: EditConfig | None = None,
) -> Edited:
    """Return a take with edits made, and what they did.

    The parts that an edit names move and nothing else does: fingers, heading and the path of the
    root over the floor stay. Where legs move, the root rises or falls with them. With a leader,
    hands that hold the leader and were not asked to move go on holding.

    Args:
        motion: the take; another frame rate is resampled to 30 fps.
        edits: in frames of 30 fps; all hold together.
        codec: a trained `ReadableCodec`, on the CPU.
        leader: the partner, of the same time.
        config: how.

    Raises:
        InputError: no edit, one outside the take, two that contradict each other, one of an arm
            that no pose of the codec's bank shows, a codec that is not readable, or a leader of
            another length.
    """
    codec = readable(codec)
    take = whole_tokens(motion.resample(FPS))
    partner = stage(take.frames)
    if leader is not None:
        leader = leader.resample(FPS)
        Duet(leader, motion.resample(FPS))  # refuses those who do not fit
        partner = whole_tokens(leader)
    return edit_with(CodecPoser(codec, take, partner), motion, edits, leader, config)


def readable(codec: AnyCodec) -> ReadableCodec:
    """Return the codec, if its tokens can be read.

    Raises:
        InputError: they cannot, or it remembers no poses.
    """
    if not isinstance(codec, ReadableCodec):
        raise InputError(
            f"a codec of architecture {codec.config.architecture!r} has codes without meaning, and "
            "an edit needs those that can be read; train one with `--preset readable`"
        )
    if not len(codec.bank.codes):
        raise InputError(
            "the codec has no bank of poses; it is filled when `duet-rl pretrain pose` ends: "
            "finish that stage"
        )
    return codec


def edit_with(
    poser: Poser,
    motion: Motion,
    edits: Sequence[Edit],
    leader: Motion | None = None,
    config: EditConfig | None = None,
) -> Edited:
    """Return what `edit` does, with anything that makes poses of codes.

    Args:
        poser: knows real poses, and how a take's rows look as a body.
        motion: the take.
        edits: in frames of 30 fps.
        leader: the partner.
        config: how.

    Raises:
        InputError: as `edit`.
    """
    config, source = config or EditConfig(), motion.resample(FPS)
    wants = wants_of(edits, source.joints, round(config.ease_seconds * FPS))
    parts = {part for want in wants for part in want.parts}
    weights, legs = joint_weights(wants), leg_weights(wants)
    offsets = source.skeleton.offsets
    took = Body(source.rotations, source.root)
    body = took
    of_arms = [want for want in wants if set(ARMS) & set(want.parts)]
    if config.retrieve is not None and of_arms:
        rows = BODY_CODES.codes(whole_tokens(source).joints[CENTRE::FRAMES_PER_TOKEN])
        edited, bank = rows, poser.bank
        for want in of_arms:
            found = propagate(edited, want, bank.codes.long(), bank.clips, config.retrieve)
            theirs = _of_others(want, of_arms, len(rows))
            edited = torch.where(theirs[:, None], edited, found)
        changed = changed_weights(rows, edited, source.frames)
        body = blend(took, poser.turns(edited)[: source.frames], weights * changed[:, None])
    body = nudge(body, source.joints, offsets, wants, weights, legs, config.nudge)
    if legs is not None:
        body = plant(body, took, offsets, wants)
    if leader is not None:
        leader = leader.resample(FPS)
        body = keep_hands(body, source.joints, leader.joints, offsets, tuple(parts), FPS)
    return _told(_moved(source, body), source, leader, wants, parts)


def _of_others(want: Want, wants: Sequence[Want], tokens: int) -> Bool[Tensor, "N"]:
    """Return the tokens that are more of other edits, which exclude a want: it leaves them."""
    middles = torch.arange(tokens) * FRAMES_PER_TOKEN + CENTRE
    middles = middles.clamp_max(len(want.weight) - 1)
    theirs = torch.zeros(tokens, dtype=torch.bool)
    for other in excluded_by(want, wants):
        theirs |= (other.weight > want.weight)[middles]
    return theirs


def _moved(source: Motion, body: Body) -> Motion:
    """Return the edited motion; frames that were not touched are the take's to the last bit."""
    made = Motion.from_rotations(body.root, body.rotations, source.skeleton, FPS)
    same = (body.rotations == source.rotations).flatten(1).all(1)
    same &= (body.root == source.root).all(1)
    joints = torch.where(same[:, None, None], source.joints, made.joints)
    return Motion(joints, body.rotations, source.skeleton, FPS)


def _told(
    motion: Motion,
    source: Motion,
    leader: Motion | None,
    wants: tuple[Want, ...],
    parts: set[str],
) -> Edited:
    free = torch.tensor([arm in parts for arm in ARMS])
    requested = torch.stack([want.frames for want in wants])
    touched = (motion.joints - source.joints).norm(dim=-1) > ROUNDING
    now, then = (BODY_CODES.codes(one.joints) for one in (motion, source))
    return Edited(
        motion,
        source,
        leader,
        wants,
        requested,
        torch.stack([want.shown(now) for want in wants]),
        torch.stack([want.shown(then) for want in wants]),
        measure(source, source, leader, free, touched),
        measure(motion, source, leader, free, touched),
        part_movement(source, motion, requested.any(0)),
    )


def _rates(requested: Tensor, shown: Tensor) -> tuple[float, ...]:
    shares = (requested & shown).sum(1) / requested.sum(1)
    return tuple(float(share) for share in shares)
