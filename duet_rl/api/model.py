"""What `duet_rl.load` returns: a trained follower, or a codec, for files and arrays."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.api.dance import Dance
from duet_rl.api.inputs import (
    MotionLike,
    MusicLike,
    features_of,
    files_in,
    motion_of,
    number,
    whole,
)
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.body.stage import stage
from duet_rl.config import validate
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.evaluate.followers import follower_in
from duet_rl.files import require_folder
from duet_rl.generate.command import lines_shown
from duet_rl.generate.follower import Follower, generate, load_follower
from duet_rl.generate.inputs import require_device
from duet_rl.generate.ranking import holds_agreed, ranked, rewards_of
from duet_rl.generate.start import Start
from duet_rl.generate.words import WORDS_SAMPLING, Beside, dance_words
from duet_rl.models.policy import SamplingConfig
from duet_rl.storage.mirror import fetched
from duet_rl.tokenizers.codec import AnyCodec, load_codec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.holding import AS_LEARNED
from duet_rl.tokenizers.part import POSE
from duet_rl.tokenizers.pgr2m import KIND as PGR2M
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_SEEDS = 2**62  # seeds from minus this to this; one dance of many is counted on from it
_TOKENS = "wanted whole numbers (rows, streams), as `tokens` returns them"


@dataclass(frozen=True, eq=False)
class Model:
    """A codec, and the follower that writes its tokens if the checkpoint has one.

    Args:
        folder: of the checkpoint.
        codec: motion to tokens and back.
        follower: None: the folder holds a codec alone, which cannot dance.
    """

    folder: Path
    codec: AnyCodec
    follower: Follower | None = None

    def follow(
        self,
        leader: MotionLike,
        music: MusicLike,
        *,
        text: str | None = None,
        samples: int = 1,
        best_of: int = 1,
        seed: int = 0,
        temperature: float | None = None,
        look_ahead: int | None = None,
        hold: float = AS_LEARNED,
        start: MotionLike | None = None,
        fps: float | None = None,
        scale: float | None = None,
        up: str | None = None,
        person: int | str | None = None,
    ) -> Dance:
        """Return a dance with a leader, as long as the leader.

        A checkpoint that has learned the leader's part leads instead: then `leader` is whom it
        leads.

        Args:
            leader: a file, a `Motion`, or joints.
            music: a file, `(samples, rate)`, or features; from the leader's first frame on.
            text: what to dance, for one who hears words.
            samples: how many different dances, that of the highest reward first.
            best_of: of so many dances that which earns most is taken; to a text, that which shows
                most of it.
            seed: another one, another dance.
            temperature: 0 is the likeliest dance; None: as the follower is usually sampled.
            look_ahead: tokens of the future that it may know; None: all it was made for.
            hold: how firmly hands are held; 0 not at all, 1 as it has learned.
            start: whose first frame the dance begins with, where it stands; None: as it has
                learned to begin.
            fps: the leader's true frame rate, if the file lies; of an array, if it is not 30.
            scale: metres per unit of the leader, if they are not found out.
            up: "y" or "z", likewise.
            person: who of a file with several, by number from 1 or by name.

        Raises:
            InputError: files or arrays that cannot be read, music that ends before the leader, or
                a checkpoint that follows nobody.
        """
        follower, seed = self._follower().holding(number(hold, "hold")), _seed(seed)
        ahead = None if look_ahead is None else whole(look_ahead, "look_ahead", 0)
        if follower.goes_its_own_way:
            raise InputError(
                f"{self.folder} holds a dancer who dances alone; call dance(), or load a follower"
            )
        led = motion_of(leader, fps, scale=scale, up=up, person=person)
        heard = features_of(music, follower)
        begin = None if start is None else Start.of(motion_of(start))
        sources = files_in(leader, music, start)
        if text is not None:
            told = _sampling(WORDS_SAMPLING, temperature=temperature)
            beside = Beside(led, heard, None, begin)
            dance = self._to_words(
                follower, text, beside, music, told, seed, samples, best_of, ahead
            )
            return replace(dance, part=follower.part, sources=sources)
        sampling = _sampling(follower.usual_sampling, temperature=temperature)
        count = _some(samples, "samples") * _some(best_of, "best_of")
        danced = generate(follower, led, heard, seed, sampling, count, ahead, begin)
        if count == 1:
            return Dance(danced, led, music, part=follower.part, sources=sources)
        agreed = holds_agreed(danced, led)
        best = ranked(danced, led, heard, rewards_of(follower.meta), agreed)[:samples]
        motions, scores = [one.motion for one in best], tuple(one.scores for one in best)
        return Dance(motions, led, music, (), follower.part, scores, agreed, sources)

    def dance(
        self,
        text: str | None = None,
        music: MusicLike | None = None,
        *,
        seconds: float | None = None,
        samples: int = 1,
        best_of: int = 1,
        seed: int = 0,
        temperature: float | None = None,
        guidance: float | None = None,
    ) -> Dance:
        """Return a dance without a leader: to words, to music, or to both.

        Args:
            text: what to dance, for one who hears words.
            music: a file, `(samples, rate)`, or features.
            seconds: how long; None: as long as the music, or as the dancer likes.
            samples: how many different dances.
            best_of: of so many dances the one that shows most of the text is taken.
            seed: another one, another dance.
            temperature: 0 is the likeliest dance.
            guidance: how hard it listens to the words; 1 is as it was trained.

        Raises:
            InputError: the checkpoint wants something else, such as a leader.
        """
        follower, seed = self._follower(), _seed(seed)
        heard = None if music is None else features_of(music, follower)
        if text is not None:
            told = _sampling(WORDS_SAMPLING, temperature=temperature, guidance=guidance)
            beside = Beside(None, heard, seconds)
            dance = self._to_words(follower, text, beside, music, told, seed, samples, best_of)
            return replace(dance, sources=files_in(music))
        if follower.needs_leader:
            raise InputError(f"{self.folder} holds a follower of leaders; call follow()")
        if heard is None:
            raise InputError("nothing says what to dance; give music, or text to one who hears it")
        if best_of != 1 or guidance is not None:
            raise InputError("best_of and guidance are for dances to words; leave them out")
        frames = len(heard) if seconds is None else round(seconds * FPS)
        if frames < 1:
            raise InputError(f"a dance of {frames} frames; give seconds above 0")
        sampling = _sampling(follower.usual_sampling, temperature=temperature)
        count = _some(samples, "samples")
        danced = generate(follower, stage(frames), heard, seed, sampling, count)
        return Dance(danced, None, music, sources=files_in(music))

    def tokens(
        self, motion: MotionLike, leader: MotionLike | None = None, **reading: Any
    ) -> Int[Tensor, "N S"]:
        """Return a motion as tokens: a row for every four frames, a column for every stream.

        What is left over at the end is no whole token and has none. `codec.spec.names` are the
        columns.

        Args:
            motion: the dancer.
            leader: beside whom its place is told; None: the stage, a body that stands still.
            reading: `fps`, `scale` and `up` of files and arrays, as in `follow`.

        Raises:
            InputError: a motion of less than a token, or a leader of another length.
        """
        dancer = motion_of(motion, **reading)
        whole = dancer.frames // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
        if not whole:
            raise InputError(
                f"the motion has {dancer.frames} frames, a token {FRAMES_PER_TOKEN}; give more"
            )
        partner = stage(dancer.frames) if leader is None else motion_of(leader, **reading)
        if partner.frames != dancer.frames:
            raise InputError(
                f"the leader has {partner.frames} frames and the dancer {dancer.frames} at "
                f"{FPS} fps; cut both alike"
            )
        beside, body = (self._batch(one.slice(0, whole)) for one in (partner, dancer))
        return self.codec.encode(beside, body)[0].cpu()

    def motion(
        self, tokens: Int[Tensor, "N S"] | np.ndarray, leader: MotionLike | None = None
    ) -> Motion:
        """Return the motion that tokens stand for, as `tokens` writes them.

        Args:
            tokens: a row for every four frames.
            leader: the one that the tokens were written beside; what is longer is left out.

        Raises:
            InputError: rows that are none of the codec's, or a leader who is shorter.
        """
        rows = _rows(tokens)[None]
        self.codec.spec.validate(rows)
        frames = rows.shape[1] * FRAMES_PER_TOKEN
        partner = stage(frames) if leader is None else motion_of(leader)
        if partner.frames < frames:
            raise InputError(
                f"the tokens stand for {frames} frames and the leader has {partner.frames}; give "
                "the leader that they were written beside"
            )
        offsets = self.codec.offsets
        place = self._batch(partner.slice(0, frames))
        with torch.no_grad():
            decoded = self.codec.decode(rows.to(offsets.device), place)
        skeleton = Skeleton(offsets.cpu(), self.codec.config.architecture)
        return Motion(decoded.joints[0].cpu(), decoded.rotations[0].cpu(), skeleton, FPS)

    def edit(
        self,
        take: MotionLike,
        words: str | Iterable[str],
        leader: MotionLike | None = None,
        *,
        nearest: bool = False,
        **reading: Any,
    ) -> Dance:
        """Return a take changed by words; all that is not asked to move stays.

        Args:
            take: the motion.
            words: such as "raise the left arm in the second half"; one edit, or several.
            leader: the partner: hands that hold it go on holding.
            nearest: where no pose that the codec knows shows an edit, take the nearest.
            reading: `fps`, `scale` and `up` of files and arrays, as in `follow`.

        Returns:
            The edited dance; its notes say what was asked and what is shown.

        Raises:
            InputError: words that ask for nothing, or a codec that cannot be read.
        """
        from duet_rl.captions.edit_language import read_edits
        from duet_rl.edit.report import lines_of
        from duet_rl.edit.run import edit, readable
        from duet_rl.edit.settings import EditConfig

        codec, motion = readable(self.codec), motion_of(take, **reading)
        partner = None if leader is None else motion_of(leader, **reading)
        said = [words] if isinstance(words, str) else list(words)
        edits = [one for text in said for one in read_edits(text, motion.frames)]
        edited = edit(motion, edits, codec, partner, EditConfig().with_unseen(nearest))
        notes, sources = tuple(lines_of(edited)), files_in(take, leader)
        return Dance([edited.motion], edited.leader, notes=notes, sources=sources)

    def _follower(self) -> Follower:
        if self.follower is None:
            raise InputError(
                f"{self.folder} holds a codec, which cannot dance; load a folder of `duet-rl "
                "pretrain follower` or `duet-rl rl`"
            )
        return self.follower

    def _batch(self, motion: Motion) -> MotionBatch:
        device = self.codec.offsets.device
        return MotionBatch(motion.joints[None].to(device), motion.rotations[None].to(device))

    @staticmethod
    def _to_words(
        follower: Follower,
        text: str,
        beside: Beside,
        music: MusicLike | None,
        sampling: SamplingConfig,
        seed: int,
        samples: int,
        best_of: int = 1,
        look_ahead: int | None = None,
    ) -> Dance:
        dances = dance_words(
            follower,
            text,
            beside,
            seed,
            sampling,
            _some(samples, "samples"),
            _some(best_of, "best_of"),
            look_ahead,
        )
        motions = [dance.motion for dance in dances]
        return Dance(motions, beside.leader, music, tuple(lines_shown(dances)))


def load(folder: Path | str, device: str = "cpu") -> Model:
    """Return the follower, or else the codec, in a folder.

    Args:
        folder: or URI: of a checkpoint, or of a run, whose better follower is taken.
        device: where it computes; cpu or cuda.

    Raises:
        InputError: no such folder, nothing in it that can be loaded, or no such device.
    """
    if not isinstance(folder, Path | str):
        raise InputError(f"a folder is given as {type(folder).__name__}; wanted its path")
    place = require_folder(fetched(folder), "a follower, a codec or a run")
    dancer = follower_in(place)
    if dancer is not None:
        follower = load_follower(dancer, device)
        return Model(dancer, follower.codec, follower)
    if checkpoint.is_checkpoint(place / POSE):
        return Model(place, load_codec(place).to(require_device(device)))
    if checkpoint.is_checkpoint(place, PGR2M):
        raise InputError(
            f"{place} is a PGR2M, which knows no leader and no music; use "
            "duet_rl.generate.pgr2m.load_pgr2m, or `duet-rl generate --text`"
        )
    raise InputError(
        f"{place} holds no follower and no codec; give a folder that `duet-rl pretrain` or "
        "`duet-rl rl` has written"
    )


def _rows(tokens: Any) -> Int[Tensor, "N S"]:
    """Return tokens as they are computed with.

    Raises:
        InputError: anything else.
    """
    try:
        rows = torch.as_tensor(tokens)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"tokens are given as {type(tokens).__name__}; {_TOKENS}") from error
    if rows.ndim != 2 or rows.is_floating_point() or rows.is_complex():
        kind = str(rows.dtype).removeprefix("torch.")
        raise InputError(f"tokens of shape {tuple(rows.shape)} and {kind}; {_TOKENS}")
    return rows.long()


def _sampling(usual: SamplingConfig, **given: float | None) -> SamplingConfig:
    """Return how to sample, with what is given in place of what is usual."""
    changes = {name: value for name, value in given.items() if value is not None}
    return validate(SamplingConfig, {**usual.model_dump(), **changes})


def _some(count: int, name: str) -> int:
    return whole(count, name, 1)


def _seed(seed: int) -> int:
    return whole(seed, "seed", -_SEEDS, _SEEDS)
