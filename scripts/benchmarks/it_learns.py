"""Does the follower learn? On leaders that it has never seen, beside what only remembers.

Trains as the demo does and measures on clips kept from the training. Captured couples are few, so
each take is left out once: of `--folds` runs, every one trains on the takes of the others, and one
table joins them. Differences between two rows are paired clip by clip and seed by seed.

    python scripts/benchmarks/it_learns.py --out runs/learns                       # synthetic world
    python scripts/benchmarks/it_learns.py --couples FOLDER --folds 5 --out runs/folds \
        pairs.leader='60_*' pairs.follower='61_*' pairs.fps=60 pairs.scale=1.5
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from bench import print_table, write_results

from duet_rl.config import resolve
from duet_rl.datasets.bvh_pairs import find_pairs
from duet_rl.errors import InputError
from duet_rl.evaluate.baselines import NEAREST, PLANTED
from duet_rl.evaluate.page import paired_difference
from duet_rl.evaluate.scores import REWARD_PREFIX, TOTAL
from duet_rl.evaluate.table import Evaluation, EvaluationRow, as_text, write_evaluation
from duet_rl.judging import measure
from duet_rl.resources import start_ray
from duet_rl.run import RunConfig, prepare_pairs, prepare_synthetic, pretrain, refine

PRETRAINED, REFINED = "pretrained", "RL"
SEED = 0
TOTAL_REWARD = REWARD_PREFIX + TOTAL
MEASURES = ("jerk", "diversity", "root_error", "facing_error", "hold_f1", "foot_slide")
COMPARED = (TOTAL_REWARD, *MEASURES)


def learn(config: RunConfig, out: Path, couples: Path | None) -> Evaluation:
    """Train in `out` what is not trained yet, and measure it."""
    if couples is None:
        store = prepare_synthetic(config, out / "data")
    else:
        store = prepare_pairs(config, couples, out / "data")
    pretrain(config, "all", store.path, out)
    refine(config, out / "follower", store.path, out)
    followers = {PRETRAINED: out / "follower", REFINED: out / "rl"}
    evaluation = measure(config, followers, store)
    write_evaluation(evaluation, out)
    return evaluation


def folds_of(couples: Path, config: RunConfig, count: int) -> list[RunConfig]:
    """Return one configuration a fold; together they test every take once.

    Raises:
        InputError: a fold would have nothing to learn from, or nothing to test.
    """
    takes = sorted(pair.take for pair in find_pairs(couples, config.pairs))
    if not 2 <= count <= len(takes):
        raise InputError(
            f"{len(takes)} takes in {couples} make no {count} folds; ask for 2 to {len(takes)}"
        )
    folds = []
    for number in range(count):
        given = {take: "test" if i % count == number else "train" for i, take in enumerate(takes)}
        split = config.prepare.split.model_copy(update={"given": given})
        prepare = config.prepare.model_copy(update={"split": split})
        folds.append(config.model_copy(update={"prepare": prepare}))
    return folds


def joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return several evaluations as one, of all their clips."""
    first = evaluations[0]
    rows = []
    for row in first.rows:
        parts = [evaluation.row(row.name).values for evaluation in evaluations]
        kept = [name for name in row.values if all(name in part for part in parts)]
        rows.append(
            EvaluationRow(row.name, {n: torch.cat([part[n] for part in parts]) for n in kept})
        )
    clips = [clip for evaluation in evaluations for clip in evaluation.clips]
    return Evaluation(rows, clips, first.seeds, first.data_hash)


def differences(evaluation: Evaluation) -> list[dict[str, str]]:
    """Return what RL changed, and how it stands to the nearest neighbour.

    Pairs are of one clip and one seed, so that the chance in both dances widens the interval.
    """
    table = []
    for other in (PRETRAINED, NEAREST, PLANTED):
        if other not in {row.name for row in evaluation.rows}:
            continue
        found = {name: paired_difference(evaluation, REFINED, other, name) for name in COMPARED}
        numbers = {name: "-" if gain is None else f"{gain:+.3f}" for name, gain in found.items()}
        table.append({"RL minus": other, **numbers})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="KEY=VALUE, as everywhere")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--couples", type=Path, help="folder of captured couples")
    parser.add_argument("--folds", type=int, default=5, help="runs over captured couples")
    parser.add_argument("--fold", type=int, help="only this one, from 0; write no result")
    parser.add_argument("--preset", default="tiny")
    options = parser.parse_args()
    config = resolve(RunConfig, options.preset, options.settings)
    configs = {"all": config}
    if options.couples is not None:
        folds = folds_of(options.couples, config, options.folds)
        configs = {f"fold{number}": fold for number, fold in enumerate(folds)}
    if options.fold is not None:
        name = f"fold{options.fold}"
        if name not in configs:
            parser.error(f"there is no fold {options.fold}; there are: {', '.join(configs)}")
        configs = {name: configs[name]}
    start_ray()
    evaluations = [learn(one, options.out / name, options.couples) for name, one in configs.items()]
    whole = joined(evaluations)
    print(as_text(whole))
    print_table(differences(whole))
    if options.fold is None:
        rows = [
            {
                "follower": row.name,
                **{name: f"{row.interval(name):.4g}" for name in row.values if row.has(name)},
            }
            for row in whole.rows
        ]
        question = "learns_synthetic" if options.couples is None else "learns_couples"
        print(write_results(question, [*rows, *differences(whole)], SEED))


if __name__ == "__main__":
    main()
