"""What `duet-rl generate` does: from what was wished for to files, and lines that tell of them."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.audio.features import BEAT, music_features_of
from duet_rl.body.motion import Motion
from duet_rl.captions.facts import Fact
from duet_rl.captions.parse import read
from duet_rl.captions.sayings import SAYINGS
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.generate import export
from duet_rl.generate.follower import Follower, generate, load_follower
from duet_rl.generate.media import VideoConfig
from duet_rl.generate.partner import Partner, read_partner, read_start, start_file
from duet_rl.generate.ranking import holds_agreed, ranked, rewards_of, table_of
from duet_rl.generate.samples import Shown, places_of, write_samples
from duet_rl.generate.start import Start
from duet_rl.generate.wish import Wish
from duet_rl.generate.words import (
    WORDS_SAMPLING,
    Beside,
    WordDance,
    dance_words,
    require_told,
    shown_of,
)
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.pgr2m import KIND as PGR2M


def generate_dances(wish: Wish) -> Iterator[str]:
    """Write the dances that are wished for, and yield what there is to tell.

    Raises:
        InputError: what was given does not fit the checkpoint, or each other.
    """
    _require_outs(wish)
    video = wish.video
    if checkpoint.read_meta(wish.checkpoint)["kind"] == PGR2M:
        yield from _by_pgr2m(wish, video)
        return
    _refuse_extras(wish)
    if wish.leader is not None and wish.lead is not None:
        raise InputError(
            "--leader is who is followed and --lead who is led; nobody does both: leave out one"
        )
    follower = load_follower(wish.checkpoint, wish.device)
    if wish.text is None:
        _require_company(wish, follower)
        _require_music_and_partner(wish)
    elif not follower.hears_words:
        require_told(follower, Beside())
    _require_part(wish, follower)
    partner, start = _partner(wish, follower)
    shown = Shown(wish.music, wish.text or "", follower.part, video=video)
    follower = follower.holding(wish.hold)
    heard = None if wish.music is None else _features(wish.music, follower)
    if heard is not None:
        beats = heard[:, BEAT].nonzero()[:, 0] / FPS
        shown = replace(shown, beats=beats.tolist())
    if wish.text is None:
        assert partner is not None and heard is not None
        dances, hold = yield from _to_music(wish, follower, partner, heard, start)
        shown = replace(shown, hold=hold)
    else:
        dances = yield from _to_words(wish, follower, partner, heard, start)
    if partner is not None and start is not None:
        apart = (start.pose.root[0] - partner.motion.root[0])[[0, 2]].norm()
        yield f"start: {float(apart):.2f} m from the {partner.part}"
    yield from _written(wish, dances, None if partner is None else partner.motion, shown)


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


def _require_outs(wish: Wish) -> None:
    """Raise `InputError` if a file cannot be written, or would be written over another one."""
    for path in wish.outs:
        export.writer(path)
    beside = None if wish.partner is None else wish.partner_part
    outs = [place for path in wish.outs for place in places_of(path, wish.samples, beside)]
    export.require_apart(outs, (wish.partner, wish.music, start_file(wish.start), wish.keywords))


def _require_company(wish: Wish, follower: Follower) -> None:
    """Raise `InputError` if who is to dance beside somebody sees nobody."""
    if follower.needs_leader:
        return
    cure = f"let it by `duet-rl choreograph SONG --checkpoint {wish.checkpoint}`"
    if follower.hears_words:
        cure = "give --text 'steps back', and no --leader"
    raise InputError(f"{wish.checkpoint} dances alone; {cure}")


def _require_music_and_partner(wish: Wish) -> None:
    """Raise `InputError` if a dance without words lacks something, or has something of words."""
    lacks = [name for name, value in (("leader", wish.partner), ("music", wish.music)) if not value]
    if lacks:
        options = " and ".join(f"--{name}" for name in lacks)
        raise InputError(
            f"nothing says what to dance: give {options}, or --text to a checkpoint that hears "
            "words"
        )
    assert wish.partner is not None and wish.music is not None
    require_file(wish.partner, f"the {wish.partner_part}'s motion")
    require_file(wish.music, "the music")
    if wish.seconds is not None or wish.guidance is not None:
        raise InputError(
            "--seconds and --guidance are for dances to words; leave them out, or give --text"
        )


def _require_part(wish: Wish, follower: Follower) -> None:
    """Raise `InputError` if somebody who learned one part is to dance the other."""
    if wish.partner is None or follower.goes_its_own_way:
        return
    if wish.lead is not None and follower.part == "follower":
        raise InputError(
            f"{wish.checkpoint} has learned the follower's part and cannot lead; give --leader "
            f"{wish.lead} (of a couple --person 2), whom it then follows, or train one that leads "
            "on a store with the roles exchanged (`duet-rl prepare swap`)"
        )
    if wish.leader is not None and follower.part == "leader":
        raise InputError(
            f"{wish.checkpoint} has learned the leader's part and follows nobody; give --lead "
            f"{wish.leader}, whom it then leads"
        )


def _partner(wish: Wish, follower: Follower) -> tuple[Partner | None, Start | None]:
    """Return who is danced with, if anybody is, and the start that was chosen, if one was."""
    if wish.partner is None:
        wish.refuse_partner("nobody is danced with")
        return None, None
    if follower.goes_its_own_way and not follower.needs_leader:
        wish.refuse_partner(f"{wish.checkpoint} dances alone and sees nobody")
    partner = read_partner(wish.partner, wish.partner_part, wish.person, wish.reading)
    return partner, read_start(wish.start, partner, wish.place)


def _to_music(
    wish: Wish, follower: Follower, partner: Partner, heard: Tensor, start: Start | None
) -> Generator[str, None, tuple[list[Motion], Tensor | None]]:
    """Dance beside somebody to music, without words; return the dances that are kept.

    With them the holds, `(T, 2, 4)`, that several of them agree on.
    """
    count = wish.samples * wish.best_of
    sampling = _sampling(wish, follower)
    if count > 1 and sampling.temperature == 0:
        raise InputError(
            "at temperature 0 all dances are one and the same; leave out --samples and --best-of, "
            "or give a --temperature above 0"
        )
    led, ahead = partner.motion, wish.look_ahead
    dances = generate(follower, led, heard, wish.seed, sampling, count, ahead, start)
    if count == 1:
        return dances, None
    hold = holds_agreed(dances, led)
    told = ranked(dances, led, heard, rewards_of(follower.meta), hold)
    yield f"{count} dances by their rewards, the best first:"
    yield from table_of(told)
    return [one.motion for one in told[: wish.samples]], hold


def _to_words(
    wish: Wish,
    follower: Follower,
    partner: Partner | None,
    heard: Tensor | None,
    start: Start | None,
) -> Generator[str, None, list[Motion]]:
    """Dance to words; return the dances that are kept."""
    assert wish.text is not None
    led = None if partner is None else partner.motion
    beside = Beside(led, heard, wish.seconds, start)
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
    yield from lines_shown(dances)
    return [dance.motion for dance in dances]


def _by_pgr2m(wish: Wish, video: VideoConfig | None) -> Iterator[str]:
    """Dance to words as a converted PGR2M does."""
    from duet_rl.generate.pgr2m import PUBLISHED_TEMPERATURE, load_pgr2m

    if wish.text is None or wish.leader is not None or wish.seconds is not None:
        raise InputError(
            f"{wish.checkpoint} is a PGR2M, which dances to words alone, as long as it likes; give "
            "--text, and neither --leader nor --seconds"
        )
    wish.refuse_partner("a PGR2M dances alone")
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
    shown = Shown(wish.music, wish.text, video=video)
    yield from _written(wish, [dance.motion for dance in best], None, shown)
    yield from lines_shown(best)


def _refuse_extras(wish: Wish) -> None:
    if wish.clip is not None or wish.keywords is not None:
        raise InputError(
            f"--clip and --keywords are for a PGR2M, and {wish.checkpoint} is a follower; leave "
            "them out"
        )


def _features(music: Path, follower: Follower) -> Tensor:
    require_file(music, "the music")
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


def _written(
    wish: Wish, dances: Sequence[Motion], partner: Motion | None, shown: Shown
) -> Iterator[str]:
    for path in wish.outs:
        places = write_samples(dances, path, partner, shown)
        for index, place in enumerate(places):
            inside = dances[index : index + 1] if len(places) == len(dances) else dances
            seconds = " + ".join(f"{motion.seconds:.1f}" for motion in inside)
            yield f"{place}: {seconds} s at {inside[0].fps:g} fps"
