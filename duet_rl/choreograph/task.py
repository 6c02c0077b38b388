"""What is to be done with a song, and what became of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.choreograph.settings import ChoreographConfig
from duet_rl.config import Config, validate
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.models.sampling import SamplingConfig
from duet_rl.rl.settings import RLConfig
from duet_rl.tokenizers.holding import AS_LEARNED

RESULT = "song.json"  # in the folder of a song; it is written last
WORKING = ".work"  # beside the songs: what is not finished yet
PROGRESS = "progress.json"  # of one of these
DANCE, BEFORE = "dance", "before"  # files of the dance, and of the one that fine-tuning began with
RECORD = "guard.jsonl"  # a line a look
FOLLOWER = "follower"  # folder of the fine-tuned one
_FREE = {"shown_songs", "shown_seconds", "parallel", "memory"}  # on which no dance depends


@dataclass(frozen=True, eq=False)
class SongTask:
    """One song to dance to.

    Args:
        name: of its folder.
        song: the sound file.
        follower: folder of who dances.
        follower_hash: of that folder.
        out: folder of all songs.
        config: settings.
        rl: settings of fine-tuning, and of the rewards.
        tuned: whether it is fine-tuned.
        sampling: of the tokens; None: as this kind of follower is usually sampled.
        seed: of the dance that is written; those that are measured follow.
        leader: whom the follower follows, 30 fps; None: it dances alone.
    """

    name: str
    song: Path
    follower: Path
    follower_hash: str
    out: Path
    config: ChoreographConfig
    rl: RLConfig
    tuned: bool = False
    sampling: SamplingConfig | None = None
    seed: int = 0
    leader: Motion | None = None

    @property
    def folder(self) -> Path:
        """Where the dance goes."""
        return self.out / self.name

    @property
    def work(self) -> Path:
        """Where a killed run goes on from."""
        return self.out / WORKING / self.name

    def fingerprint(self) -> str:
        """Return a hash of all that the dance depends on."""
        leader = None if self.leader is None else _hash(self.leader.joints, self.leader.rotations)
        usual = {"hold"} if self.config.hold == AS_LEARNED else set()  # older songs say nothing
        words = [
            sha256_of(self.song),
            self.follower_hash,
            self.config.model_dump(mode="json", exclude=_FREE | usual),
            self.rl.model_dump(mode="json"),
            self.tuned,
            None if self.sampling is None else self.sampling.model_dump(),
            self.seed,
            leader,
        ]
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


class SongResult(Config):
    """What became of a song: a line of the table, and `song.json` in its folder.

    Args:
        name: of the song and its folder.
        song: name of the sound file.
        fingerprint: of the task.
        seconds: length of the dance.
        before: name of each reward and measure -> a value a seed, None where it does not apply.
        after: likewise of what was kept; None where nothing was fine-tuned.
        iteration: of the state that was kept; 0 is before the first.
        kl: nats a token, of the state that was kept.
        looks: how often the guard looked.
        why: fine-tuning ended, and what was kept.
        took: s of work on it, in the run that finished it.
        missing: why files are missing.
        holds: those that most of the first dances keep, which pages ask for: hand, what it holds
            (`duet_rl.body.contact.HOLD_TARGETS`), first frame, frame after the last; None: nobody
            is danced with.
    """

    name: str
    song: str
    fingerprint: str
    seconds: float
    beats: tuple[float, ...] = ()  # s
    before: Mapping[str, tuple[float | None, ...]]
    after: Mapping[str, tuple[float | None, ...]] | None = None
    iteration: int = 0
    kl: float | None = None
    looks: int = 0
    why: str = ""
    took: float = 0.0
    missing: tuple[str, ...] = ()
    holds: tuple[tuple[int, int, int, int], ...] | None = None

    @property
    def kept(self) -> Mapping[str, tuple[float | None, ...]]:
        """The numbers of the dance that is in the folder."""
        return self.before if self.after is None else self.after


def finished(task: SongTask) -> SongResult | None:
    """Return the result of a song that is done already, with the same settings."""
    file = task.folder / RESULT
    if not file.is_file():
        return None
    try:
        result = validate(SongResult, json.loads(file.read_text()), source=str(file))
    except (ValueError, InputError):
        return None
    return result if result.fingerprint == task.fingerprint() else None


def require_own_folder(task: SongTask) -> None:
    """Raise `InputError` if the folder of a song holds what no dance has put there.

    It is replaced as a whole when the song is done, and with it whatever is in it.
    """
    if not task.folder.exists():
        return
    if not task.folder.is_dir():
        raise InputError(f"{task.folder} is a file; rename the song, or give another --out")
    found = {path.name for path in task.folder.iterdir()}
    known = {RESULT, RECORD, FOLLOWER, f"{BEFORE}.npz"}
    strange = sorted(name for name in found - known if not name.startswith(f"{DANCE}."))
    if strange:
        raise InputError(
            f"{task.folder} holds {strange[0]}, which is of no dance and would be lost; give "
            "another --out, or rename the song"
        )


def _hash(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
