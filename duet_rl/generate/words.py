"""Dances to words: from a text, and a leader or music where there are such, to motions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.body.stage import stage
from duet_rl.captions.detect import facts_of, true_among
from duet_rl.captions.facts import Fact
from duet_rl.captions.parse import read
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.generate.follower import KIND, Follower
from duet_rl.generate.inputs import lengthened, prolonged, require_music_lasts
from duet_rl.generate.prompts import decoded, words_for
from duet_rl.generate.start import Start
from duet_rl.models.conditions import LookAhead
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.leader import LEADER, LEADER_TOKENS
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

MOST_POSES = 4096  # of a bank that a dance takes its poses from
USUAL_SECONDS = 6.0  # of a dance that nobody has given a length
LONGEST_SECONDS = 20.0  # of a dance that ends where the follower lets it end
# See docs/text_to_motion.md
WORDS_SAMPLING = SamplingConfig(temperature=1.0, guidance=4.0)


class WordDance(NamedTuple):
    """A dance to words, and which facts of the text it shows."""

    motion: Motion
    shown: Mapping[Fact, bool]

    @property
    def facts_shown(self) -> int:
        """How many facts it shows."""
        return sum(self.shown.values())


@dataclass(frozen=True)
class Beside:
    """What a dance to words goes with.

    Args:
        leader: whom it follows, 30 fps; None: nobody.
        music: features from the first frame on, as the follower hears them; None: none.
        seconds: how long it lasts; None: as long as the leader, or as the follower likes.
        start: the pose of its first frame beside the leader; None: as the follower likes.
    """

    leader: Motion | None = None
    music: Float[Tensor, "_ _"] | None = None
    seconds: float | None = None
    start: Start | None = None


def dance_words(
    follower: Follower,
    text: str,
    beside: Beside = Beside(),
    seed: int = 0,
    sampling: SamplingConfig = WORDS_SAMPLING,
    samples: int = 1,
    best_of: int = 1,
    look_ahead: LookAhead = None,
) -> list[WordDance]:
    """Return dances to a text, 30 fps, on the CPU.

    Args:
        follower: from `load_follower`, one that hears words.
        text: what to dance.
        beside: leader, music and length.
        seed: of the sampling.
        sampling: temperature and cut-offs.
        samples: how many different dances.
        best_of: each is the one of so many that shows most facts of the text.
        look_ahead: tokens of future that the follower may know of leader and music.

    Raises:
        InputError: the follower hears no words, or lacks what it cannot do without; a length that
            is not that of the leader; music that ends too early.
    """
    require_told(follower, beside)
    frames = _frames(follower, beside)
    texts = [text] * (samples * best_of)
    dances = dance_texts(follower, texts, frames, beside, seed, sampling, look_ahead)
    facts = read(text).facts
    partner = None if beside.leader is None else beside.leader.joints
    told = [WordDance(motion, shown_of(facts, motion.joints, partner)) for motion in dances]
    # The first of equals: what is not asked for is not chosen by.
    return [
        max(told[first : first + best_of], key=lambda dance: dance.facts_shown)
        for first in range(0, len(told), best_of)
    ]


@torch.no_grad()
def dance_texts(
    follower: Follower,
    texts: Sequence[str],
    frames: int,
    beside: Beside = Beside(),
    seed: int = 0,
    sampling: SamplingConfig = WORDS_SAMPLING,
    look_ahead: LookAhead = None,
) -> list[Motion]:
    """Return a dance to each text, sampled as one batch.

    Args:
        follower: one that hears words.
        texts: what to dance.
        frames: how long they last at most; shorter where the follower ends them by itself.
        beside: leader and music, the same for all. Without a length and a leader, a follower that
            ends its dances does so.
        seed: of the sampling.
        sampling: temperature and cut-offs.
        look_ahead: tokens of future that the follower may know of leader and music.
    """
    whole = -(-frames // FRAMES_PER_TOKEN) * FRAMES_PER_TOKEN
    led = prolonged(stage(1, FPS) if beside.leader is None else beside.leader, whole)
    alone = MotionBatch(
        led.joints[None].to(follower.device), led.rotations[None].to(follower.device)
    )
    first = None if beside.start is None else beside.start.tokens(follower.codec, led)
    count = len(texts)
    leader = MotionBatch(*(part.expand(count, *part.shape[1:]) for part in alone))
    heard = None
    if beside.music is not None:
        heard = lengthened(beside.music, whole).expand(count, -1, -1)
    free = follower.ends and beside.leader is None and beside.seconds is None
    sampled = follower.sample(
        follower.conditions(None if beside.leader is None else leader, heard),
        whole // FRAMES_PER_TOKEN,
        seed,
        sampling,
        look_ahead,
        None if first is None else first.expand(count, -1, -1),
        words=words_for(follower.model, texts, count),
        ends=free,
        rows=known_poses(follower),
    )
    skeleton = Skeleton(follower.codec.offsets.cpu(), KIND)
    dances = []
    for index, text in enumerate(texts):
        steps = int(sampled.lengths[index])
        tokens = sampled.tokens[index : index + 1, :steps, : len(follower.codec.spec)]
        danced = decoded(follower.codec, tokens, alone.cut(0, steps * FRAMES_PER_TOKEN), [text])
        kept = min(frames, steps * FRAMES_PER_TOKEN)
        joints, rotations = danced.joints[0, :kept].cpu(), danced.rotations[0, :kept].cpu()
        dances.append(Motion(joints, rotations, skeleton, FPS))
    return dances if beside.start is None else beside.start.led_into_all(dances, follower.codec)


def known_poses(follower: Follower) -> Tensor | None:
    """Return the pose codes of real dancers that a dance takes its poses from, `(R, G)`.

    A readable codec brings them. Pose groups depend on each other, and a model that says them one
    by one says rows that no body can take; where it says all at once, it says one of these. None:
    the codec has none, or the model says groups that see each other.
    """
    codec, model = follower.codec, follower.model
    if not isinstance(codec, ReadableCodec) or not isinstance(model, MultiStreamGPT):
        return None
    together = model.heads.blocks[0].stop if model.heads.see_earlier else model.streams
    rows = codec.bank.codes
    if model.positions_per_step > 1 or together < codec.groups or not len(rows):
        return None
    every = -(-len(rows) // MOST_POSES)
    return rows[::every].long()


def text_dancer(
    follower: Follower, sampling: SamplingConfig = WORDS_SAMPLING, best_of: int = 1
) -> Callable[[Sequence[str], int, int], list[Tensor]]:
    """Return what dances to many texts: texts, frames and a seed in, joints of a dance each out.

    Args:
        follower: one that hears words and needs nothing else.
        sampling: temperature, cut-offs and guidance.
        best_of: of so many dances to a text the one that shows most facts of it is taken.

    Raises:
        InputError: the follower hears no words, or needs a leader or music.
    """
    require_told(follower, Beside())

    def joints(texts: Sequence[str], frames: int, seed: int) -> list[Tensor]:
        beside = Beside(seconds=frames / FPS)
        rounds = [
            dance_texts(follower, texts, frames, beside, seed * best_of + i, sampling)
            for i in range(best_of)
        ]
        chosen = []
        for text, *dances in zip(texts, *rounds, strict=True):
            facts = read(text).facts
            told = [WordDance(one, shown_of(facts, one.joints)) for one in dances]
            chosen.append(max(told, key=lambda dance: dance.facts_shown).motion.joints)
        return chosen

    return joints


def shown_of(
    facts: Sequence[Fact],
    joints: Float[Tensor, "T 55 3"],
    partner: Float[Tensor, "T 55 3"] | None = None,
) -> dict[Fact, bool]:
    """Return which facts are true of a motion."""
    stated = facts_of(joints, partner)
    return {fact: true_among(fact, stated, len(joints)) for fact in facts}


def require_told(follower: Follower, beside: Beside) -> None:
    """Make sure that a follower can dance to words with what it is given.

    Raises:
        InputError: says what it lacks, and which options bring it.
    """
    if not follower.hears_words:
        raise InputError(
            "this checkpoint hears no words; give --leader and --music without --text, or train "
            "one that does (`duet-rl pretrain text2motion`, or follower.text={})"
        )
    needs = set(follower.requires)
    lacks = []
    if beside.leader is None and needs & {LEADER, LEADER_TOKENS}:
        lacks.append("--leader")
    if beside.music is None and "music" in needs:
        lacks.append("--music")
    if lacks:
        raise InputError(
            f"this checkpoint dances to words beside a leader or music alone; give "
            f"{' and '.join(lacks)}, or train one with follower.told_dropout above 0, which does "
            "without"
        )
    if beside.leader is not None and not follower.needs_leader:
        raise InputError("this checkpoint dances alone and sees no leader; leave out --leader")
    if beside.music is not None and "music" not in follower.model.config.condition_names:
        raise InputError("this checkpoint hears no music; leave out --music")
    if beside.leader is None and beside.start is not None:
        raise InputError("a start is a place beside a leader; give --leader, or leave out --start")
    if beside.leader is not None and beside.seconds is not None:
        raise InputError("a dance beside a leader is as long as the leader; leave out --seconds")


def _frames(follower: Follower, beside: Beside) -> int:
    """Return how many frames a dance has, at most."""
    if beside.leader is not None:
        frames = beside.leader.frames
    elif beside.seconds is not None:
        frames = max(1, round(beside.seconds * FPS))
    else:
        frames = round((LONGEST_SECONDS if follower.ends else USUAL_SECONDS) * FPS)
    if beside.music is not None:
        if beside.leader is None and beside.seconds is None:
            return min(frames, len(beside.music))
        require_music_lasts(beside.music, frames, "dance" if beside.leader is None else "leader")
    return frames
