"""Loads every file of a folder with bytes changed and cut off; dies if a loader does.

python -m tests.damaged_files FOLDER
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from duet_rl.errors import InputError
from duet_rl.pickles import load_object_npy, load_torch_checkpoint

ENDS = 100  # bytes at the head and at the tail that are all changed
BETWEEN, CUTS = 100, 60  # places between them that are changed; places to cut at
FLIPS = (0xFF, 0x80, 0x01)


def damaged(whole: bytes) -> Iterator[tuple[str, bytes]]:
    size = len(whole)
    ends = {*range(ENDS), *range(size - ENDS, size)} & {*range(size)}
    for number, at in enumerate(sorted(ends | {*range(0, size, 1 + size // BETWEEN)})):
        flipped = whole[at] ^ FLIPS[number % len(FLIPS)]
        yield f"byte {at} is {flipped}", whole[:at] + bytes([flipped]) + whole[at + 1 :]
    for at in range(0, size, 1 + size // CUTS):
        yield f"cut at {at}", whole[:at]


def check(path: Path) -> None:
    load = load_torch_checkpoint if path.suffix == ".pt" else load_object_npy
    variant = path.with_stem("damaged")
    for what, payload in damaged(path.read_bytes()):
        variant.write_bytes(payload)
        try:
            load(variant)
        except InputError:
            continue
        except BaseException as error:
            raise AssertionError(f"{path.name}, {what}: {error!r}") from error
        assert not what.startswith("cut"), f"{path.name}, {what}: taken for whole"


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).iterdir()):
        check(path)
