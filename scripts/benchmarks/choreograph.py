"""What does fine-tuning a soloist to a song do, on songs that it has never heard?

Makes synthetic soloists and trains a follower on them (both resumable), then lets it dance to the
songs of the test split, and to the sound files in `--music`, before and after `--finetune`.
Differences are paired song by song and seed by seed; the intervals are bootstrapped over both.

    python scripts/benchmarks/choreograph.py --out runs/songs --music FOLDER
    python scripts/benchmarks/choreograph.py --out runs/songs --songs 2 \
        synthetic.choreographies=6 pose.steps=30 translation.steps=30 follower.steps=30 \
        choreograph.iterations=10                                            # to see that it runs
"""

import argparse
from pathlib import Path
from typing import Any

from bench import print_table, write_results

from duet_rl.choreograph.files import AFTER
from duet_rl.choreograph.rehearsal import DIVERSITY, REWARD
from duet_rl.choreograph.run import choreograph
from duet_rl.choreograph.table import Choreography, as_text
from duet_rl.choreograph.task import BEFORE
from duet_rl.config import resolve
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.page import paired_difference
from duet_rl.resources import start_ray
from duet_rl.run import RunConfig, prepare_solo, prepare_synthetic, pretrain

SEED = 0
PRESET = "solo"
MEASURES = (
    *(REWARD, "beat_f1", "beat_f1_shuffled", "beat_gain"),
    *("foot_slide", "jerk", DIVERSITY, "frozen_share"),
)


def train(config: RunConfig, out: Path) -> tuple[DuetStore, Path]:
    """Return the soloists and the follower in `out`, made if they are not there yet."""
    prepare_synthetic(config, out / "couples")
    store = prepare_solo(config, out / "couples", out / "data")
    pretrain(config, "all", store.path, out)
    return store, out / "follower"


def unheard(store: DuetStore, most: int | None) -> list[Path]:
    """Return the songs of the test split, one a choreography, in turns of its styles."""
    songs: dict[str, Path] = {}
    for record in store.records("test"):
        if record.audio is not None:
            songs.setdefault(record.choreography, store.path / "audio" / record.audio)
    by_number = sorted(songs, key=lambda name: name.rpartition("_")[2])
    return [songs[name] for name in by_number[:most]]


def rows_of(found: Choreography, songs: str) -> list[dict[str, Any]]:
    """Return a row for each measure: before, after, and how much it changed."""
    assert found.evaluation is not None
    before, after = found.evaluation.row(BEFORE), found.evaluation.row(AFTER)
    rows = []
    for measure in MEASURES:
        change = paired_difference(found.evaluation, AFTER, BEFORE, measure)
        rows.append(
            {
                "songs": songs,
                "measure": measure,
                "before": f"{before.cell(measure).interval or '-':.3f}",
                "after": f"{after.cell(measure).interval or '-':.3f}",
                "paired": "-" if change is None else f"{change:+.3f}",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="KEY=VALUE, as everywhere")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--run", type=Path, help="another run's data/ and follower/, already made")
    parser.add_argument("--music", type=Path, help="folder of sound files, beside the synthetic")
    parser.add_argument("--songs", type=int, help="of the test split, at most")
    options = parser.parse_args()
    config = resolve(RunConfig, PRESET, options.settings)
    start_ray()
    if options.run is None:
        store, follower = train(config, options.out)
    else:
        store, follower = DuetStore.open(options.run / "data"), options.run / "follower"
    sets = {"synthetic, held out": unheard(store, options.songs)}
    if options.music is not None:
        sets["recorded"] = [options.music]
    rows = []
    for name, songs in sets.items():
        place = options.out / "songs" / name.partition(",")[0]
        found = choreograph(songs, follower, place, config.choreograph, config.rl, tuned=True)
        print(as_text(found), end="\n\n")
        kept = sum(song.iteration > 0 for song in found.songs)
        rows += rows_of(found, f"{name}: {kept} of {len(found.songs)} refined")
    print_table(rows)
    print(write_results("choreograph", rows, SEED))


if __name__ == "__main__":
    main()
