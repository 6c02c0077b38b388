"""The dances of a song as files: all kinds that are wanted, before and after on one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from duet_rl.body.contact import HOLD_TARGETS
from duet_rl.body.motion import Duet, Motion
from duet_rl.choreograph.settings import ChoreographConfig
from duet_rl.choreograph.task import BEFORE, DANCE
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.generate.export import write, write_mp4
from duet_rl.generate.view import FARTHEST, DanceScene, write_page

AFTER = "after"  # name on the page of a dance beside that one


def write_dances(
    folder: Path, clip: DuetClip, dances: Mapping[str, Motion], config: ChoreographConfig
) -> tuple[str, ...]:
    """Write what is danced to a song; return why files are missing.

    Args:
        folder: of the song.
        clip: the song, and its leader if it has one, with the holds that a page asks for.
        dances: `before`, and `dance` where fine-tuning has given another one.
        config: which kinds of files.
    """
    kept = dances.get(DANCE, dances[BEFORE])
    dance = kept if clip.solo else Duet(clip.duet.leader, kept)
    missing = []
    for kind in config.files:
        path = folder / f"{DANCE}.{kind}"
        if kind == "html":
            missing += _write_page(path, clip, dances)
        elif kind == "mp4":
            write_mp4(dance, path, clip.audio, config.video)
        else:
            write(dance, path, clip.audio)
    if DANCE in dances:
        write(dances[BEFORE], folder / f"{BEFORE}.npz")
    return tuple(missing)


def beats_of(clip: DuetClip) -> tuple[float, ...]:
    """Return when the beats of the music are, seconds."""
    return tuple(round(beat, 3) for beat in (clip.beats.nonzero()[:, 0] / FPS).tolist())


def stretches_of(hold: Bool[Tensor, "T 2 4"]) -> tuple[tuple[int, int, int, int], ...]:
    """Return holds as plain numbers: hand, what it holds, first frame, frame after the last."""
    edges = torch.diff(hold.int(), dim=0, prepend=torch.zeros(1, *hold.shape[1:]).int())
    edges = torch.cat([edges, -hold[-1:].int()])  # what lasts to the end ends there
    first, last = ((edges == sign).permute(1, 2, 0).nonzero() for sign in (1, -1))
    return tuple(
        (int(hand), int(target), int(start), int(stop))
        for (hand, target, start), (_, _, stop) in zip(first, last, strict=True)
    )


def hold_of(stretches: Sequence[tuple[int, int, int, int]], frames: int) -> Bool[Tensor, "T 2 4"]:
    """Return the holds that `stretches_of` tells, in the first frames."""
    hold = torch.zeros(frames, 2, len(HOLD_TARGETS), dtype=torch.bool)
    for hand, target, start, stop in stretches:
        hold[start:stop, hand, target] = True
    return hold


def _write_page(path: Path, clip: DuetClip, dances: Mapping[str, Motion]) -> list[str]:
    leader = None if clip.solo else clip.duet.leader
    everyone = [*dances.values(), *([] if leader is None else [leader])]
    farthest = max(float(one.joints.abs().max()) for one in everyone)
    if farthest > FARTHEST:
        return [f"no page: the dance goes {farthest:.0f} m away, a page reaches {FARTHEST:g} m"]
    seen = {DANCE: dances[BEFORE]}
    if DANCE in dances:
        seen = {BEFORE: dances[BEFORE], AFTER: dances[DANCE]}
    hold = None if clip.solo else clip.hold
    scene = DanceScene(clip.name, leader, seen, clip.audio, beats_of(clip), hold=hold)
    write_page(path, [scene], clip.name)
    return []
