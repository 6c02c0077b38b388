"""What `duet-rl generate` does: from what was wished for to files, and lines that tell of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.audio.features import music_features_of
from duet_rl.body.motion import Motion
from duet_rl.captions.facts import Fact
from duet_rl.captions.parse import read
from duet_rl.captions.sayings import SAYINGS
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.generate import export
from duet_rl.generate.follower import Follower, generate, load_follower
from duet_rl.generate.samples import write_samples
from duet_rl.generate.words import (
    WORDS_SAMPLING,
    Beside,
    WordDance,
    dance_words,
    require_told,
    shown_of,
)
from duet_rl.mocap.retarget import read_motion
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.pgr2m import KIND as PGR2M


@dataclass(frozen=True)
class Wish:
    """What somebody wants to see; None is what is usual.

    Args:
        checkpoint: folder of a follower, or of a converted PGR2M.
        outs: files to write.
        leader: file of the leader's motion.
        music: sound file.
        text: what to dance, in words.
        seconds: length of a dance to words alone.
        samples: how many dances.
        best_of: of so many dances that which shows most of the text is taken.
        guidance: how hard a follower listens to its words.
        reading: how the leader's file is read, see `body.retarget.read_motion`.
        seed: of the sampling.
        temperature: of the sampling.
        look_ahead: tokens of future that the follower may know.
        clip: PGR2M's text tower.
        keywords: PGR2M's further sentences.
        device: where the follower dances.
    """

    checkpoint: Path
    outs: Sequence[Path]
    leader: Path | None = None
    music: Path | None = None
    text: str | None = None
    seconds: float | None = None
    samples: int = 1
    best_of: int = 1
    guidance: float | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    temperature: float | None = None
    look_ahead: int | None = None
    clip: Path | None = None
    keywords: Path | None = None
    device: str = "cpu"


def generate_dances(wish: Wish) -> Iterator[str]:
    """Write the dances that are wished for, and yield what there is to tell.

    Raises:
        InputError: what was given does not fit the checkpoint, or each other.
    """
    for path in wish.outs:
        export.writer(path)
    if checkpoint.read_meta(wish.checkpoint)["kind"] == PGR2M:
        yield from _by_pgr2m(wish)
        return
    _refuse_extras(wish)
    if wish.text is None:
        yield from _to_music(wish)
        return
    follower = load_follower(wish.checkpoint, wish.device)
    beside = _beside(wish, follower)
    require_told(follower, beside)
    yield _understood(wish.text)
    dances = dance_words(
        follower,
        wish.text,
        beside,
        wish.seed,
        _sampling(wish, follower),
        wish.samples,
        wish.best_of,
        wish.look_ahead,
    )
    yield from _written(wish, [dance.motion for dance in dances], beside.leader)
    yield from lines_shown(dances)


def said(fact: Fact) -> str:
    """Return a fact in words."""
    deed = SAYINGS[fact.bare][0].format(p="the")
    if fact.other is not None:
        return f"{deed} {'after' if fact.when == 'then' else 'while'} {said(fact.other)}"
    return deed + {"first": " at first", "last": " at the end"}.get(fact.when, "")


def lines_shown(dances: Sequence[WordDance]) -> Iterator[str]:
    """Say of each dance which facts of the text it shows."""
    for number, dance in enumerate(dances, start=1):
        if not dance.shown:
            continue
        which = f"dance {number}" if len(dances) > 1 else "the dance"
        shown = "; ".join(said(fact) for fact, true in dance.shown.items() if true)
        not_shown = "; ".join(said(fact) for fact, true in dance.shown.items() if not true)
        missing = f"; does not: {not_shown}" if not_shown else ""
        yield f"{which} shows: {shown or 'nothing of it'}{missing}"


def _to_music(wish: Wish) -> Iterator[str]:
    """Follow a leader to music, without words."""
    lacks = [name for name in ("leader", "music") if getattr(wish, name) is None]
    if lacks:
        options = " and ".join(f"--{name}" for name in lacks)
        raise InputError(
            f"nothing says what to dance: give {options}, or --text to a checkpoint that hears "
            "words"
        )
    if wish.seconds is not None or wish.best_of > 1 or wish.guidance is not None:
        raise InputError(
            "--seconds, --best-of and --guidance are for dances to words; leave them out, or give "
            "--text"
        )
    assert wish.leader is not None and wish.music is not None
    require_file(wish.leader, "the leader's motion")
    require_file(wish.music, "the music")
    follower = load_follower(wish.checkpoint, wish.device)
    led = read_motion(wish.leader, **wish.reading).resample(FPS)
    danced = generate(
        follower,
        led,
        _features(wish.music, follower),
        wish.seed,
        _sampling(wish, follower),
        wish.samples,
        wish.look_ahead,
    )
    yield from _written(wish, danced, led)


def _by_pgr2m(wish: Wish) -> Iterator[str]:
    """Dance to words as a converted PGR2M does."""
    from duet_rl.generate.pgr2m import PUBLISHED_TEMPERATURE, load_pgr2m

    if wish.text is None or wish.leader is not None or wish.seconds is not None:
        raise InputError(
            f"{wish.checkpoint} is a PGR2M, which dances to words alone, as long as it likes; give "
            "--text, and neither --leader nor --seconds"
        )
    if wish.guidance is not None or wish.look_ahead is not None:
        raise InputError("a PGR2M knows neither --guidance nor --look-ahead; leave them out")
    dancer = load_pgr2m(wish.checkpoint, wish.clip, wish.device)
    yield _understood(wish.text)
    heat = PUBLISHED_TEMPERATURE if wish.temperature is None else wish.temperature
    count = wish.samples * wish.best_of
    motions = dancer.motions(
        wish.text, count, keywords=wish.keywords, seed=wish.seed, temperature=heat
    )
    facts = read(wish.text).facts
    dances = [WordDance(motion, shown_of(facts, motion.joints)) for motion in motions]
    best = [
        max(dances[first : first + wish.best_of], key=lambda dance: dance.facts_shown)
        for first in range(0, count, wish.best_of)
    ]
    yield from _written(wish, [dance.motion for dance in best], None)
    yield from lines_shown(best)


def _refuse_extras(wish: Wish) -> None:
    if wish.clip is not None or wish.keywords is not None:
        raise InputError(
            f"--clip and --keywords are for a PGR2M, and {wish.checkpoint} is a follower; leave "
            "them out"
        )


def _beside(wish: Wish, follower: Follower) -> Beside:
    """Return leader and music of a dance to words, read from their files."""
    leader, music = None, None
    if wish.leader is not None:
        leader = read_motion(require_file(wish.leader, "the leader's motion"), **wish.reading)
        leader = leader.resample(FPS)
    if wish.music is not None:
        music = _features(require_file(wish.music, "the music"), follower)
    return Beside(leader, music, wish.seconds)


def _features(music: Path, follower: Follower) -> Tensor:
    return torch.from_numpy(music_features_of(music, compat=follower.music["compat"]))


def _sampling(wish: Wish, follower: Follower) -> SamplingConfig:
    changes = {"temperature": wish.temperature, "guidance": wish.guidance}
    given = {name: value for name, value in changes.items() if value is not None}
    usual = follower.usual_sampling if wish.text is None else WORDS_SAMPLING
    return usual.model_copy(update=given)


def _understood(text: str) -> str:
    """Return which words of a text can be checked on a dance."""
    reading = read(text)
    known = "; ".join(said(fact) for fact in reading.facts) or "nothing that can be checked"
    rest = f" (not: {' '.join(reading.left)})" if reading.left else ""
    return f"understood: {known}{rest}"


def _written(wish: Wish, dances: Sequence[Motion], leader: Motion | None) -> Iterator[str]:
    for path in wish.outs:
        places = write_samples(dances, path, leader, wish.music, wish.text or "")
        for index, place in enumerate(places):
            inside = dances[index : index + 1] if len(places) == len(dances) else dances
            seconds = " + ".join(f"{motion.seconds:.1f}" for motion in inside)
            yield f"{place}: {seconds} s at {inside[0].fps:g} fps"
