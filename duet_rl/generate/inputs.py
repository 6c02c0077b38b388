"""What a follower is given: devices that are there, music that it knows and that lasts."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.audio.provenance import MusicFacts, are_alike, describe
from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.roles import Part
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError

MUSIC_SLACK = 1.0  # s by which music may end before the leader; its last frame then goes on


def require_device(device: torch.device | str) -> torch.device:
    """Return the device if there is one of that name here.

    Raises:
        InputError: torch knows no such device, or has no GPU of that number.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"there is no device {device!r}; give cpu or cuda") from error
    if found.type not in ("cpu", "cuda") and not (found.type == "mps" and _has_mps()):
        raise InputError(f"nothing is computed on {found} here; give cpu or cuda")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= gpus:
        raise InputError(
            f"{found} is asked for, and torch sees {gpus} GPUs here; give --device cpu"
        )
    return found


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def require_same_music(follower: str, music: MusicFacts, store: DuetStore) -> None:
    """Raise `InputError` if a follower that learned from `music` cannot hear that of `store`.

    Args:
        follower: its name, for the message.
        music: the facts of its music features.
        store: clips that it is to dance to.
    """
    if not are_alike(music, store.music):
        raise InputError(
            f"{follower} learned from music features of {describe(music)}, and the store "
            f"{store.path} has those of {describe(store.music)}; prepare a store with "
            f"prepare.music.compat={music.get('compat')}, or train a follower on this one, "
            "in a folder of its own"
        )


def require_same_part(name: str, part: Part, store: DuetStore) -> None:
    """Raise `InputError` if a follower that learned one part is to dance the other.

    Args:
        name: of the follower, for the message.
        part: that it has learned.
        store: whose "followers" dance what is asked for.
    """
    wanted = "leader" if store.swapped else "follower"
    if part != wanted:
        raise InputError(
            f"{name} has learned the {part}'s part, and {store.path} asks for the {wanted}'s; "
            f"exchange the roles (`duet-rl prepare swap {store.path} --out NEW`)"
        )


def require_music_lasts(music: Float[Tensor, "_ _"], frames: int, whose: str = "leader") -> None:
    """Raise `InputError` if music ends before a leader, or a dance, of so many frames."""
    if len(music) == 0 or (frames - len(music)) / FPS > MUSIC_SLACK:
        raise InputError(
            f"the music lasts {len(music) / FPS:.1f} s and the {whose} {frames / FPS:.1f} s; give "
            f"music as long as the {whose}, or a shorter {whose}"
        )


def prolonged(motion: Motion, frames: int) -> Motion:
    """Return the first `frames` frames; where there are fewer, the last one stands on."""
    joints, rotations = lengthened(motion.joints, frames), lengthened(motion.rotations, frames)
    return replace(motion, joints=joints, rotations=rotations)


def lengthened(values: Tensor, frames: int) -> Tensor:
    """Return the first `frames` rows; where there are fewer, the last one goes on."""
    last = values[-1:].expand(max(frames - len(values), 0), *values.shape[1:])
    return torch.cat([values[:frames], last])
