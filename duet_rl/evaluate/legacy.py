"""What the metric scripts of Duolando and Bailando print for a folder of dances.

Numbers are the original's, slips and all (docs/metrics.md); where they would mean nothing there is
a reason in their place. New comparisons should use the default protocol.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from duet_rl.body.motion import Duet
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate import legacy_takes
from duet_rl.evaluate.legacy_contact import contact_frames
from duet_rl.evaluate.legacy_scores import (
    PROTOCOLS,
    Protocol,
    PublishedScore,
    PublishedScores,
    no_score,
)
from duet_rl.evaluate.legacy_takes import BeatSet, DanceSet, PublishedDance, listed
from duet_rl.metrics.frechet import (
    constant_places,
    mean_distance,
    normalise,
    published_fid,
    published_reason,
)
from duet_rl.metrics.manual_features import manual_features
from duet_rl.metrics.motion_features import (
    duet_features,
    from_start,
    joints_of_smpl,
    kinetic_features,
)
from duet_rl.metrics.published import beat_alignment, beat_echo, skating_frames

BAILANDO_FRAMES = 1200  # of a prediction whose features count; a reference counts whole

Contact = Callable[[Duet], Bool[Tensor, "T"]]
"""In which frames the bodies of a couple touch."""


@dataclass
class _Measured:
    """What was measured of each dance, by name of the measurement; `names` has one more each."""

    names: list[str]
    features: dict[str, list[Float[Tensor, "D"]]]
    numbers: dict[str, list[float]]
    skating: list[tuple[int, int]]  # steps that skate and all steps, a dancer
    touching: list[Bool[Tensor, "T"]]
    surfaces: bool = True  # whether every couple has one
    music: bool = True  # whether all music is known

    def set_of(self, kind: str) -> Float[Tensor, "N D"]:
        return torch.stack(self.features[kind])


def published(
    protocol: Protocol,
    predictions: Path | str,
    reference: Path | str | None = None,
    music: Path | str | None = None,
    store: DuetStore | None = None,
    models: Path | str | None = None,
    own_files: bool = False,
    contact: Contact | None = None,
    device: str = "cpu",
    progress: bool | None = False,
) -> PublishedScores:
    """Return what the original scripts print for a folder of dances.

    Predictions are the original's files: for `duolando` joints `TAKE_00.npy` of the follower and
    `TAKE_01.npy` of the leader, (T, 165), or a folder above them (`duet-rl export dd100
    --checkpoint` writes one); for `bailando` `NAME.npy`, (T, 72). Or they are followers of ours,
    `CLIP.npz`, beside a store that has the leaders; they are turned into the axes of DD100's files
    first, or for `bailando` made into 24 joints at 60 frames a second.

    Args:
        protocol: whose scripts.
        predictions: folder of the dances.
        reference: true dances of the same kind, as published of all splits: a folder, or the root
            of the data set. None: those of the store, if there is one.
        music: folder of features `NAME.npy`, whose column 53 holds the beats. None: those of the
            reference's data set, or of the store.
        store: our clips, for what the other two do not give.
        models: folder of SMPL-X models, for the contact frequency.
        own_files: foot skating of the followers alone. The original counts the leaders too.
        contact: in which frames two bodies touch; None: their surfaces by the models.
        device: where surfaces are held against each other.
        progress: whether to show a bar; None: if there is a terminal.

    Raises:
        InputError: no such protocol, no dances, a name without leader, clip or music, dancers of
            lengths that cannot be of one take, or a file that is damaged, of another shape or NaN.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"there is no protocol {protocol!r}; wanted {', '.join(PROTOCOLS)}")
    bodies = None if models is None else Path(models)
    truth = None if reference is None else Path(reference)
    dances = _predictions(protocol, Path(predictions), _beats(truth, music, store), store, bodies)
    if contact is None and bodies is not None:
        contact = partial(contact_frames, models=bodies, device=device)
    ours = _measure(protocol, dances, contact, BAILANDO_FRAMES, own_files, progress)
    held = _reference(protocol, truth, store)
    theirs = None if held is None else _measure(protocol, held, None, None, own_files, progress)
    scores = [*_set_scores(ours, theirs), *_beat_scores(protocol, ours)]
    if protocol == "duolando":
        scores += [_skating(ours, own_files), _contact(ours, contact is not None)]
    return PublishedScores(
        protocol,
        str(predictions),
        held.where if held else None,
        tuple(scores),
        _notes(ours, theirs),
    )


def _beats(
    reference: Path | None, music: Path | str | None, store: DuetStore | None
) -> BeatSet | None:
    if music is not None:
        return legacy_takes.beats_in_files(legacy_takes.music_folder(Path(music)) or Path(music))
    beside = legacy_takes.music_folder(reference) if reference is not None else None
    if beside is not None:
        return legacy_takes.beats_in_files(beside)
    return legacy_takes.beats_of(store) if store is not None else None


def _predictions(
    protocol: Protocol,
    folder: Path,
    beats: BeatSet | None,
    store: DuetStore | None,
    models: Path | None,
) -> DanceSet:
    motions = legacy_takes.motions_in(folder)
    if motions and any(folder.glob("*.npy")):
        raise InputError(f"{folder} holds dances as .npy and as .npz; keep those of one kind there")
    if motions:
        if store is None:
            raise InputError(
                f"{folder} holds {len(motions)} followers of ours, whose leaders and music are in "
                "a store; give it with --data"
            )
        return _of_store(protocol, store, motions)
    if protocol == "duolando":
        return legacy_takes.couples_in_files(folder, beats, models)
    return legacy_takes.soloists_in_files(folder, beats)


def _reference(protocol: Protocol, folder: Path | None, store: DuetStore | None) -> DanceSet | None:
    if folder is not None:
        folder = legacy_takes.reference_folder(folder)
        if protocol == "duolando":
            return legacy_takes.couples_in_files(folder, None)
        return legacy_takes.soloists_in_files(folder, None)
    return None if store is None else _of_store(protocol, store, None)


def _of_store(protocol: Protocol, store: DuetStore, motions: dict[str, Path] | None) -> DanceSet:
    source = legacy_takes.couples_of if protocol == "duolando" else legacy_takes.soloists_of
    return source(store, motions)


def _measure(
    protocol: Protocol,
    dances: DanceSet,
    contact: Contact | None,
    frames: int | None,
    own_files: bool,
    progress: bool | None,
) -> _Measured:
    """Return what is measured of each dance; `frames` of it are looked at in solo features."""
    kinds = ("k", "g", "cd") if protocol == "duolando" else ("k", "g")
    found = _Measured([], {kind: [] for kind in kinds}, {"BAS": [], "BED": []}, [], [])
    hidden = None if progress is None else not progress
    for name in tqdm(dances.names, "read", unit="dance", disable=hidden):
        dance = dances.read(name)
        found.names.append(name)
        if protocol == "duolando":
            solo = from_start(joints_of_smpl(dance.follower.double()))
        else:
            solo = from_start(dance.follower[:frames])
        # The original keeps its features in single precision.
        found.features["k"].append(kinetic_features(solo).float())
        found.features["g"].append(manual_features(solo).float())
        nothing = float("nan")
        told = nothing if dance.beats is None else beat_alignment(dance.follower, dance.beats)
        found.numbers["BAS"].append(told)
        found.music &= dance.beats is not None
        if dance.leader is not None:
            _measure_couple(found, dance, dance.leader, contact, own_files)
    return found


def _measure_couple(
    found: _Measured,
    dance: PublishedDance,
    leader: Float[Tensor, "T J 3"],
    contact: Contact | None,
    own_files: bool,
) -> None:
    shared = min(len(dance.follower), len(leader))
    features = duet_features(dance.follower[:shared], leader[:shared])
    found.features["cd"].append(features.float())
    found.numbers["BED"].append(beat_echo(dance.follower, leader))
    # Quirk: the original reads every file of the folder, so that the leaders count, too.
    for dancer in (dance.follower,) if own_files else (dance.follower, leader):
        found.skating.append(skating_frames(dancer))
    if dance.couple is None:
        found.surfaces = False
    elif contact is not None:
        found.touching.append(contact(dance.couple()))


_KINDS = {
    "k": "kinetic features",
    "g": "manual (geometric) features",
    "cd": "distances within the couple",
}


def _set_scores(ours: _Measured, theirs: _Measured | None) -> Iterable[PublishedScore]:
    """Yield FID and DIV of each kind of features, and DIV of the reference."""
    count, held = len(ours.names), 0 if theirs is None else len(theirs.names)
    for kind, about in _KINDS.items():
        if kind not in ours.features:
            continue
        told = {
            f"FID_{kind}": f"distance from the reference in {about}",
            f"DIV_{kind}": f"spread of {about}",
            f"DIV_{kind} of the reference": f"spread of {about}",
        }
        if theirs is None:
            for name, meaning in list(told.items())[:2]:
                yield no_score(name, meaning, count, "no reference; give --reference or --data")
            continue
        samples, reference = ours.set_of(kind), theirs.set_of(kind)
        ready = normalise(samples, reference)
        numbers = (published_fid(*ready), *(mean_distance(features) for features in ready))
        reasons = (
            published_reason(samples, reference, full_rank=True),
            published_reason(samples, reference, full_rank=False),
            published_reason(reference, reference, full_rank=False),
        )
        same = constant_places(samples, reference, alike=True)
        remark = f"constant in both sets, without effect: {same}" if same else ""
        rows = zip(told.items(), numbers, reasons, (count, count, held), strict=True)
        for (name, meaning), number, reason, sequences in rows:
            value = None if reason else number
            said = reason or remark
            yield PublishedScore(name, meaning, value, number, "", sequences, held, said)


def _beat_scores(protocol: Protocol, ours: _Measured) -> Iterable[PublishedScore]:
    """Yield the mean beat scores over the sequences that have beats."""
    told = {"BAS": "the dance's beats where the music has them"}
    if protocol == "duolando":
        told["BED"] = "the follower's beats where the leader has them"
    for name, meaning in told.items():
        if name == "BAS" and not ours.music:
            why = "no music features; give --music or --data"
            yield no_score(name, meaning, len(ours.names), why)
            continue
        scores = torch.tensor(ours.numbers[name], dtype=torch.float64)
        known = torch.isfinite(scores)
        value = float(scores[known].mean()) if known.any() else None
        reason = ""
        without = [n for n, there in zip(ours.names, known.tolist(), strict=True) if not there]
        if without:
            # One sequence without beats ends the original's script.
            what = "of the music or of the dance" if name == "BAS" else "of one of the dancers"
            reason = f"no beats {what} in {listed(without)}, left out"
        original = value if value is not None and not without else float("nan")
        yield PublishedScore(name, meaning, value, original, "", int(known.sum()), None, reason)


def _skating(ours: _Measured, own_files: bool) -> PublishedScore:
    skating, steps = (sum(column) for column in zip(*ours.skating, strict=True))
    who = "followers" if own_files else "followers and leaders, as published"
    value = 100 * skating / steps
    count = len(ours.names)
    meaning = "steps in which the pelvis travels over feet that stand"
    return PublishedScore("foot skating", meaning, value, value, "%", count, None, who)


def _contact(ours: _Measured, wanted: bool) -> PublishedScore:
    name, meaning, count = "CF", "frames in which the bodies touch", len(ours.names)
    if not wanted:
        return no_score(name, meaning, count, "bodies have surfaces with --smplx only")
    if not ours.surfaces:
        why = "no SMPL-X parameters (npy/ep*/TAKE_00.npy) lie beside the joints"
        return no_score(name, meaning, count, why)
    frames = sum(len(take) for take in ours.touching)
    value = 100 * sum(int(take.sum()) for take in ours.touching) / frames
    return PublishedScore(name, meaning, value, value, "%", count, None, "")


def _notes(ours: _Measured, theirs: _Measured | None) -> tuple[str, ...]:
    notes = []
    if theirs is not None and (shared := sorted(set(ours.names) & set(theirs.names))):
        notes.append(
            f"{len(shared)} of the dances have their truth in the reference, which holds all "
            "splits, as published"
        )
    return tuple(notes)
