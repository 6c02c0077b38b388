"""How much of what captions say is true of their own dance, and how much of another one?

    python scripts/benchmarks/captions.py --data RUN/data --name salsa

Captions know what is rare from the train split. They are written for both dancers in windows of
four seconds of the test split, read again, and checked on their own windows, on these with noise on
every joint, and on windows of another take. One thread.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from bench import print_table, times_ms, write_results
from torch import Tensor

from duet_rl.captions.accuracy import fact_accuracy
from duet_rl.captions.captioner import WINDOW, Captioner, caption_of
from duet_rl.captions.detect import facts_of
from duet_rl.captions.parse import read
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore

SEED = 0
EACH = 10  # captions of a window
NOISE = 0.005  # m, standard deviation, of each joint in each frame

Dancers = tuple[list[Tensor], list[Tensor]]  # joints, and those of the partners


def dancers(clips: list[DuetClip]) -> Dancers:
    """Return each dancer of each couple, and the other one."""
    pairs = [(clip.duet.follower.joints, clip.duet.leader.joints) for clip in clips]
    both = [*pairs, *(pair[::-1] for pair in pairs)]
    return [one for one, _ in both], [other for _, other in both]


def windows(of: Dancers) -> tuple[Dancers, list[int]]:
    """Return windows of dancers, and the number of the take of each, which two dancers share."""
    found: Dancers = ([], [])
    takes = []
    for take, (joints, partner) in enumerate(zip(*of, strict=True)):
        for start in range(0, len(joints) - WINDOW + 1, WINDOW):
            found[0].append(joints[start : start + WINDOW])
            found[1].append(partner[start : start + WINDOW])
            takes.append(take % (len(of[0]) // 2))
    return found, takes


def measured(data: Path, name: str) -> list[dict[str, Any]]:
    """Return how often each kind of fact is said, and true of the own and of other windows."""
    store = DuetStore.open(data)
    captioner = Captioner.fit(*dancers(store.clips("train")))
    (joints, partners), takes = windows(dancers(store.clips("test")))
    generator = torch.Generator().manual_seed(SEED)
    texts, wrong = [], 0
    for motion, partner in zip(joints, partners, strict=True):
        stated = facts_of(motion, partner)
        captions = [caption_of(stated, WINDOW, generator, captioner) for _ in range(EACH)]
        wrong += sum(read(caption.text) != (caption.facts, ()) for caption in captions)
        texts.append([caption.text for caption in captions])
    others = [[j for j, take in enumerate(takes) if take != own] for own in takes]
    other = [found[int(torch.randint(len(found), (), generator=generator))] for found in others]
    shaken = tuple(
        [m + NOISE * torch.randn(m.shape, generator=generator) for m in of]
        for of in (joints, partners)
    )
    counts: dict[str, list[int]] = {}
    for number in range(EACH):
        said = [text[number] for text in texts]
        own = fact_accuracy(said, joints, partners)
        noisy = fact_accuracy(said, *shaken)
        moved = [joints[o] for o in other], [partners[o] for o in other]
        for kind, shares in fact_accuracy(said, *moved).items():
            row = counts.setdefault(kind, [0, 0, 0, 0])
            for place, count in enumerate(
                (shares.said, own[kind].true, noisy[kind].true, shares.true)
            ):
                row[place] += count
    ms = min(times_ms(lambda: facts_of(joints[0], partners[0]), 20, 1, 5.0))
    return [
        {
            "dances": name,
            "kind": kind,
            "windows": len(joints),
            "said": said_of,
            **{
                name: round(count / said_of, 3) if said_of else "-"
                for name, count in zip(("own", "shaken", "another"), true, strict=True)
            },
            "not_read_back": wrong,
            "ms_a_window": round(ms, 1),
        }
        for kind, (said_of, *true) in counts.items()
    ]


def _shown(cell: Any) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of a clip store")
    parser.add_argument("--name", default="couples", help="of the data, for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measured(options.data, options.name)
    print_table([{key: _shown(cell) for key, cell in row.items()} for row in rows])
    print(write_results(f"captions_{options.name}", rows, SEED))


if __name__ == "__main__":
    main()
