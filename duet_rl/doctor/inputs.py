"""Checks of what a person brings: a store of clips, body models, a place for runs."""

from pathlib import Path

from duet_rl.doctor.findings import Finding
from duet_rl.doctor.machine import check_disk
from duet_rl.errors import InputError

_SHORT = 12  # characters of a hash


def check_runs(place: str | Path) -> Finding:
    """Whether runs can be written to a folder, or to a store behind a URI."""
    from duet_rl.storage.places import check_writable, is_uri

    if not is_uri(place):
        return check_disk(Path(place), "runs")
    try:
        check_writable(place)
    except InputError as error:
        needed = (f"every command with --out {place}",)
        cure = "mend the address or the rights, or choose another place"
        return Finding("disk: runs", "missing", f"{error}", needed, cure, asked=True)
    return Finding("disk: runs", "ok", f"{place} can be written and read")


def check_store(place: str | Path) -> Finding:
    """Whether a store is whole: every clip is there and is the one that its index knows.

    What is behind a URI is copied for it, as every command that uses it would.
    """
    from duet_rl.datasets.store import DuetStore
    from duet_rl.datasets.store_files import CLIPS
    from duet_rl.files import sha256_of
    from duet_rl.storage.mirror import fetched

    needed = (f"every command with --data {place}",)
    cure = "make it again with `duet-rl prepare`, or copy it again"
    try:
        folder = fetched(place)
        store = DuetStore.open(folder)
        changed = [
            record.name
            for record in store.records()
            if sha256_of(folder / CLIPS / f"{record.name}.npz") != record.sha256
        ]
    except (InputError, OSError) as error:
        return Finding("data", "missing", f"{error}", needed, cure)
    if changed:
        found = f"{len(changed)} of {len(store.records())} clips are damaged: {changed[0]} ..."
        return Finding("data", "missing", found, needed, cure)
    empty = [split for split in ("train", "val", "test") if not store.records(split)]
    found = f"{place}: {store.summary()}, hash {store.hash[:_SHORT]}"
    if empty:
        cure = "prepare more choreographies, or other shares (prepare.split)"
        return Finding("data", "warning", f"{found}; nothing in {', '.join(empty)}", needed, cure)
    return Finding("data", "ok", found)


def check_body_models(folder: Path) -> list[Finding]:
    """Whether the three body models are there and whole."""
    from duet_rl.meshes.smplx import GENDERS

    return [_check_body_model(folder, gender) for gender in GENDERS]


def _check_body_model(folder: Path, gender: str) -> Finding:
    from duet_rl.meshes.smplx import BodyModel

    name = f"body: {gender}"
    try:
        BodyModel.load(folder, gender)
    except InputError as error:
        return Finding(
            name, "missing", f"{error}", ("prepare dd100 --smplx",), "see docs/body_models.md"
        )
    return Finding(name, "ok", f"{folder}")
