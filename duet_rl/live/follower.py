"""The live follower: leader frames in, follower frames out, at 30 fps and without an end."""

from collections import Counter, deque
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower
from duet_rl.generate.start import ChosenStart
from duet_rl.live.beginning import Beginning
from duet_rl.live.guard import Guard
from duet_rl.live.roads import CausalRoad, Decoded, Road, WindowRoad, nothing
from duet_rl.live.settings import DialConfig, LiveConfig
from duet_rl.models.follower import hearing_of
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.policy import SamplingConfig
from duet_rl.models.step_decoder import StepDecoder
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.leader import LEADER
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

MUSIC = "music"
_CATCH_UP = 2  # tokens danced at once at most, when less look-ahead is wanted than before


class FollowerFrames(NamedTuple):
    """Frames of a follower, in order; none or more."""

    first: int  # which frame of the leader the first goes with
    joints: Float[Tensor, "T 55 3"]  # m
    rotations: Float[Tensor, "T 55 3 3"]  # local


class LiveFollower:
    """A follower of one leader who still dances.

    Tokens are danced as soon as the leader's frames that they may know have come: those of their
    own four frames, and `look_ahead` tokens more. With a codec that never looks ahead the frames
    are those that the whole clip would have given; of one that does, a window of the last tokens
    is decoded again each time, and shown `delay` tokens late.

    Args:
        follower: from `load_follower`; it sees a leader and may hear music, nothing else.
        config: look-ahead, temperature, delay.
        song: features of the music, if it is known before it sounds; the follower then hears as
            far ahead of it as it was made for, at no delay. Behind its end it is silent.
        seed: of the sampling.
        start: the pose of the first frame; None: it begins as it has learned to. Its place beside
            the leader's first pose, and what its tokens know of his way, are of the frames that
            are waited for anyway.
        counts: told what was wrong with the frames; None: `counts` of its own.

    Raises:
        InputError: a follower that cannot dance live, hands that it cannot hold so, or a song of
            other features.
    """

    def __init__(
        self,
        follower: Follower,
        config: LiveConfig | None = None,
        song: Float[Tensor, "T 54"] | None = None,
        seed: int = 0,
        start: ChosenStart | None = None,
        counts: Counter[str] | None = None,
    ) -> None:
        self.config = config or LiveConfig()
        require_live(follower, self.config)
        assert isinstance(follower.model, MultiStreamGPT)
        self.follower = follower
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.hears = MUSIC in follower.model.conditions.names
        self.frames = 0  # of the leader, so far
        self._song = song
        self._heard = 0  # frames of the song fed
        self._seen = 0  # tokens of the leader fed beside them
        self._generator = torch.Generator().manual_seed(seed)
        self._sampling = SamplingConfig(temperature=self.config.temperature)
        self._look_ahead = self._within(self.config.look_ahead)
        self._road = road_of(follower, self.config)
        self._guard = Guard(self.config.step, self.counts)
        self._decoder = StepDecoder(follower.model, self._ahead())
        self._decoder.start({}, live=set(follower.model.conditions.names))
        self._waiting: list[Float[Tensor, "55 3"]] = []  # frames of a token that is not whole yet
        self._music: list[Tensor] = []  # of those, (54,) each
        self._undanced: deque[Float[Tensor, "4 55 3"]] = deque()  # tokens not danced yet
        self._unshown: deque[Float[Tensor, "55 3"]] = deque()  # frames of tokens not shown yet
        self._shown = 0  # frames shown
        self._beginning = None if start is None else Beginning(start, self._road.codec, self.counts)
        self._over = False

    @property
    def look_ahead(self) -> int:
        """Tokens of the leader's future that are waited for."""
        return self._look_ahead

    @property
    def lag(self) -> int:
        """How many frames of the leader must have come after one for its follower to be known."""
        tokens = self._look_ahead + self._road.delay
        return tokens * FRAMES_PER_TOKEN + FRAMES_PER_TOKEN - 1

    @property
    def bends_arms(self) -> bool:
        """Whether its hands can be held more or less firmly than it has learned."""
        return self._road.codec.bends_arms

    def set_dials(
        self,
        look_ahead: int | None = None,
        temperature: float | None = None,
        hold: float | None = None,
    ) -> None:
        """Dance with another look-ahead, temperature or firmness from the next token on.

        Raises:
            InputError: a look-ahead outside 0 to 29, a temperature outside 0 to 10, a firmness
                outside 0 to 2, or any but 1 where arms cannot be bent.
        """
        turned = {"look_ahead": look_ahead, "temperature": temperature, "hold": hold}
        self.require_dials(validate(DialConfig, turned, "dials"))
        if temperature is not None:
            self._sampling = SamplingConfig(temperature=temperature)
        if look_ahead is not None:
            self._look_ahead = self._within(look_ahead)
            self._decoder.look(self._ahead())
        if hold is not None:
            self._road.hold(hold)

    def require_dials(self, dials: DialConfig) -> None:
        """Make sure that this follower has the dials that are turned.

        Raises:
            InputError: hands are to be held otherwise where arms cannot be bent.
        """
        if dials.hold is not None:
            self.follower.holding(dials.hold)

    def step(
        self,
        leader: Float[Tensor, "T 55 3"],
        music: Float[Tensor, "T 54"] | None = None,
    ) -> FollowerFrames:
        """Return what the next frames of the leader let the follower dance.

        Args:
            leader: his next frames, 30 a second, metres, Y-up; none or more.
            music: features of the same frames. None: of the song, or silence.

        Raises:
            InputError: NaN in the frames, or a dance that is over.
        """
        if self._over:
            raise InputError("this dance is over; begin another")
        if not bool(leader.isfinite().all()):
            raise InputError("the leader holds NaN or infinity; leave such frames out (see Intake)")
        first, parts = self._shown, []
        self._waiting += list(leader.to(self.follower.device))
        self._music += list(self._rows(len(leader), music))
        self.frames += len(leader)
        while len(self._waiting) >= FRAMES_PER_TOKEN:
            token = torch.stack(self._waiting[:FRAMES_PER_TOKEN])
            heard = torch.stack(self._music[:FRAMES_PER_TOKEN])
            del self._waiting[:FRAMES_PER_TOKEN], self._music[:FRAMES_PER_TOKEN]
            self._see(token, heard)
            for _ in range(min(self._decoder.ready, _CATCH_UP)):
                parts.append(self._dance())
        return self._frames(first, parts)

    def finish(self) -> FollowerFrames:
        """Return the frames that waited for a future; the leader dances no more.

        A last token that is not whole is left out.
        """
        first, parts = self._shown, []
        if not self._over and self.frames >= FRAMES_PER_TOKEN:
            names = self.follower.model.config.condition_names
            empty = {name: self._nothing_of(name) for name in names}
            self._decoder.feed(empty, last=True)
            while self._undanced:
                parts.append(self._dance())
            parts.append(self._show(self._road.finish()))
        self._over = True
        return self._frames(first, parts)

    @torch.inference_mode()
    def _see(self, leader: Float[Tensor, "4 55 3"], music: Float[Tensor, "4 54"]) -> None:
        """Take in a whole token of the leader and of the music."""
        self._undanced.append(leader)
        fed = {LEADER: self._road.features(leader)}
        if self.hears:
            fed[MUSIC] = self._to_feed(music)[None].to(self.follower.device)
        self._decoder.feed(fed)

    @torch.inference_mode()
    def _dance(self) -> Decoded:
        """Return the frames that the next token of the follower brings."""
        given = None
        if self._beginning is not None and self._decoder.position == 0:
            given = self._beginning.tokens(torch.cat(list(self._undanced)))
        tokens = self._decoder.sample(self._sampling, self._generator, given).tokens
        self._decoder.go_on()
        tokens = tokens[:, None, : len(self.follower.codec.spec)]
        leader = self._undanced.popleft()
        self._unshown.extend(leader)
        return self._show(self._road.decode(tokens, leader))

    def _show(self, danced: Decoded) -> Decoded:
        beside = [self._unshown.popleft() for _ in range(len(danced.joints))]
        if not beside:
            return danced
        if self._beginning is not None:
            danced = self._beginning.led(danced, self._shown)
        self._shown += len(beside)
        return self._guard.check(danced, torch.stack(beside))

    def _frames(self, first: int, parts: list[Decoded]) -> FollowerFrames:
        parts = [nothing(self.follower.codec.offsets), *parts]
        joints, rotations = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
        return FollowerFrames(first, joints, rotations)

    def _within(self, look_ahead: int) -> int:
        """Return the look-ahead, at most what the model was made for."""
        model = self.follower.model
        assert isinstance(model, MultiStreamGPT)
        return min(look_ahead, model.conditions[LEADER].config.look_ahead)

    def _ahead(self) -> dict[str, int]:
        """Return the look-ahead of each condition."""
        model = self.follower.model
        assert isinstance(model, MultiStreamGPT)
        ahead = {LEADER: self._look_ahead}
        if self.hears:
            known = model.conditions[MUSIC].config.look_ahead
            ahead[MUSIC] = self._look_ahead if self._song is None else known
        return ahead

    def _rows(self, frames: int, music: Tensor | None) -> Float[Tensor, "T 54"]:
        if music is None:
            return torch.zeros(frames, MUSIC_DIMS)
        if music.shape != (frames, MUSIC_DIMS) or not bool(music.isfinite().all()):
            raise InputError(
                f"music of shape {tuple(music.shape)} beside {frames} frames; wanted finite rows "
                f"({frames}, {MUSIC_DIMS})"
            )
        return music

    def _to_feed(self, rows: Float[Tensor, "4 54"]) -> Float[Tensor, "T 54"]:
        """Return the music that the decoder is told next: of a song all that it may hear."""
        if self._song is None:
            return rows
        extra = max(self._ahead()[MUSIC] - self._look_ahead, 0)
        start, self._seen = self._heard, self._seen + 1
        self._heard = max((self._seen + extra) * FRAMES_PER_TOKEN, start)
        known = self._song[start : self._heard]
        silent = self._heard - start - len(known)
        return torch.cat([known, known.new_zeros(silent, MUSIC_DIMS)])

    def _nothing_of(self, name: str) -> Float[Tensor, "1 T C"]:
        model = self.follower.model
        assert isinstance(model, MultiStreamGPT)
        return torch.zeros(1, 0, model.conditions[name].config.channels).to(self.follower.device)


def road_of(follower: Follower, config: LiveConfig) -> Road:
    """Return the road for the codec of a follower."""
    codec = follower.holding(config.hold).codec
    assert isinstance(codec, DuetCodec)
    if codec.config.frame.causal:
        return CausalRoad(codec)
    return WindowRoad(codec, config.delay, config.window)


def require_live(follower: Follower, config: LiveConfig) -> None:
    """Make sure that a follower can dance so beside a leader who still dances.

    Raises:
        InputError: what it sees, hears or is made of does not come live, or hands are to be held
            otherwise where arms cannot be bent.
    """
    model, codec = follower.model, follower.codec
    if not isinstance(model, MultiStreamGPT):
        raise InputError(
            f"a follower of architecture {model.config.architecture!r} wants the whole clip; live "
            "needs one of architecture multistream (presets live, tiny, small)"
        )
    if not isinstance(codec, DuetCodec) or follower.goes_its_own_way:
        raise InputError("this follower dances alone; live needs one that was trained on couples")
    if unknown := set(model.config.condition_names) - {LEADER, MUSIC}:
        raise InputError(
            f"the follower wants {', '.join(sorted(unknown))}, which do not come live; train one "
            "on the conditions leader and music"
        )
    if LEADER not in model.config.condition_names:
        raise InputError("the follower sees no leader; train one on the conditions leader, music")
    if hearing_of(model.config) != "duolando":
        raise InputError("the follower hears whole songs; live needs the features of Duolando")
    follower.holding(config.hold)
