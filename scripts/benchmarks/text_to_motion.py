"""Does a dancer to words show what he is told? Facts of held-out captions, shown and by chance.

    python scripts/benchmarks/text_to_motion.py --data STORE [STORE ...] --run RUN [RUN ...]

`RUN` is what `duet-rl pretrain text2motion` has made of `STORE`; of several, each is measured on
the held-out takes of its own store, and the takes of all are one sample. Four questions, each a
table: do captions come back as their facts; how many facts of held-out captions do dances show,
beside the truth, and beside the texts of other takes; how likely are held-out dances with their
own words, with those of others and without; and what do the residual levels of the refiner bring.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from bench import print_table, write_results
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.stage import put_on_stage, stage
from duet_rl.captions.accuracy import ALL, fact_accuracy
from duet_rl.captions.captioner import Captioner
from duet_rl.captions.facts import KINDS
from duet_rl.captions.parse import parse
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.text_scores import mean_over_takes
from duet_rl.evaluate.text_windows import TextWindow, cut_windows, dancers_of, spread_over
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.generate.prompts import words_for
from duet_rl.generate.words import WORDS_SAMPLING, text_dancer
from duet_rl.metrics.reconstruction import mpjpe
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.streams import GOES_ON
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import DROPPED, FRAMES_PER_TOKEN, POSE_CODE

SEED = 0
ROUND_TRIPS = 2000  # captions of a store
SHOWN = [ALL, *(kind for kind in KINDS if kind != "couple")]  # each dances alone
Row = dict[str, Any]


Dance = Callable[[Sequence[str], int, int], list[Tensor]]


class HeldOut(NamedTuple):
    """Pieces of held-out dances with a caption each, and for each another piece of another take."""

    windows: list[TextWindow]
    texts: list[str]
    others: list[int]
    captioner: Captioner

    @property
    def takes(self) -> list[str]:
        """The take of each piece."""
        return [window.take for window in self.windows]


class Fold(NamedTuple):
    """A follower, and the pieces of dances that it never saw."""

    follower: Follower
    told: HeldOut
    motions: list[Motion]  # the pieces, on the stage
    frames: int  # of each


def held_out(store: DuetStore, seconds: float, most: int) -> HeldOut:
    """Return pieces of the test split, with captions as the training split taught to write them."""
    learned = cut_windows(dancers_of(store, "train"), seconds, seconds)
    captioner = Captioner.fit([window.joints for window in learned])
    windows = spread_over(cut_windows(dancers_of(store, "test"), seconds, seconds / 2), most)
    generator = torch.Generator().manual_seed(SEED)
    texts = [window.caption(generator, captioner).text for window in windows]
    others = []
    for window in windows:
        rows = [i for i, other in enumerate(windows) if other.take != window.take]
        others.append(rows[int(torch.randint(len(rows), (), generator=generator))])
    return HeldOut(windows, texts, others, captioner)


def load_fold(data: Path, run: Path, seconds: float, most: int) -> Fold:
    """Return a follower with what is held out of the store that it learned from."""
    store, follower = DuetStore.open(data), load_follower(run / "follower")
    told = held_out(store, seconds, most)
    of_a_piece = len(told.windows[0].joints)
    frames = of_a_piece // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
    # Tokens say how a dancer moves on from where he began: on the stage, facing front.
    whole = pieces(store, of_a_piece, told)
    return Fold(follower, told, [put_on_stage(each.slice(0, frames)) for each in whole], frames)


def round_trip(folds: Sequence[Fold]) -> Row:
    """Return how many captions are read back as the facts that they were written from."""
    generator = torch.Generator().manual_seed(SEED + 1)
    count, same = ROUND_TRIPS * len(folds), 0
    for index in range(count):
        told = folds[index % len(folds)].told
        window = told.windows[index // len(folds) % len(told.windows)]
        caption = window.caption(generator, told.captioner)
        same += parse(caption.text) == caption.facts
    return {"captions": count, "read back exactly": f"{same / count:.2%}"}


def fact_rows(folds: Sequence[Fold], dances: dict[str, dict[str, Any]], seeds: int) -> list[Row]:
    """Return which share of the facts each row's dances show, of their own texts and of others'."""
    takes = [take for fold in folds for take in fold.told.takes]
    made: dict[str, list[list[list[Tensor]]]] = {
        "true motion": [[[window.joints] for window in fold.told.windows] for fold in folds]
    }
    for name, options in dances.items():
        made[name] = [danced(fold, text_dancer(fold.follower, **options), seeds) for fold in folds]
    rows = []
    for name, motions in made.items():
        own = pooled([shares(f.told.texts, m) for f, m in zip(folds, motions, strict=True)])
        control = pooled(
            [
                shares([fold.told.texts[i] for i in fold.told.others], m)
                for fold, m in zip(folds, motions, strict=True)
            ]
        )
        row: Row = {"dance": name}
        for kind in SHOWN:
            mean, chance = (mean_over_takes(x[kind], takes, "") for x in (own, control))
            apart = mean_over_takes(own[kind] - control[kind], takes, "")
            if mean.interval is None or chance.interval is None:
                continue
            difference = "" if apart.interval is None else f"; {apart.interval:+.2f}"
            row[kind] = f"{mean.interval.mean:.2f} / {chance.interval.mean:.2f}{difference}"
        rows.append(row)
        if name == "true motion":
            counts = {kind: int(torch.isfinite(own[kind]).sum()) for kind in SHOWN if kind in row}
    return [{"dance": "(texts that say it)", **counts}, *rows]


def danced(fold: Fold, dance: Dance, seeds: int) -> list[list[Tensor]]:
    """Return for each held-out text, what is danced to it: one motion a seed."""
    by_seed = [dance(fold.told.texts, fold.frames, seed) for seed in range(seeds)]
    return [list(each) for each in zip(*by_seed, strict=True)]


def pooled(by_fold: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the rows of all folds as one table."""
    return {kind: torch.cat([each[kind] for each in by_fold]) for kind in by_fold[0]}


def mean_rows(folds: Sequence[Fold], by_fold: Sequence[list[Row]]) -> list[Row]:
    """Return rows that each fold has, with numbers averaged over all pieces."""
    weights = [len(fold.motions) for fold in folds]
    rows = []
    for each in zip(*by_fold, strict=True):
        row = dict(each[0])
        for key, value in row.items():
            if isinstance(value, float):
                weighted = sum(w * x[key] for w, x in zip(weights, each, strict=True))
                row[key] = weighted / sum(weights)
        rows.append(row)
    return rows


def shares(texts: Sequence[str], motions: Sequence[Sequence[Tensor]]) -> dict[str, Tensor]:
    """Return for each kind `(texts, samples)`, which share of the facts is true; NaN: none said."""
    found: dict[str, list[list[float]]] = {kind: [] for kind in SHOWN}
    for text, samples in zip(texts, motions, strict=True):
        each = [fact_accuracy([text], [joints]) for joints in samples]
        for kind, rows in found.items():
            rows.append([share[kind].share for share in each])
    return {kind: torch.tensor(rows) for kind, rows in found.items()}


@torch.no_grad()
def likelihood_rows(follower: Follower, told: HeldOut, motions: Sequence[Motion]) -> list[Row]:
    """Return the NLL a step of held-out dances: with their own words, those of others, and none."""
    codec, gpt = readable(follower), follower.model
    assert isinstance(gpt, MultiStreamGPT)
    leader = batch_of([stage(motions[0].frames, FPS)] * len(motions))
    tokens = codec.encode(leader, batch_of(motions))
    if gpt.config.stop:
        tokens = torch.nn.functional.pad(tokens, (0, 1), value=GOES_ON)
    rows = []
    for name, texts in (
        ("their own", told.texts),
        ("those of others", [told.texts[i] for i in told.others]),
        ("none", [""] * len(told.texts)),
    ):
        logits = gpt(tokens, {}, text=words_for(gpt, texts, len(texts))).logits
        nll = [
            float(torch.nn.functional.cross_entropy(x.flatten(0, 1), tokens[..., i].flatten()))
            for i, x in enumerate(logits)
        ]
        kinds = [stream.kind for stream in codec.spec.streams]
        groups = sum(x for x, kind in zip(nll, kinds, strict=False) if kind == POSE_CODE)
        place = sum(nll[i] for i, part in enumerate(codec.spec.parts) if part == "placement")
        rows.append({"words": name, "pose groups, nats": groups, "placement, nats": place})
    return rows


@torch.no_grad()
def level_rows(codec: ReadableCodec, motions: Sequence[Motion]) -> list[Row]:
    """Return how far decoded bodies are from held-out ones, with 0 to L levels, mm."""
    truth = batch_of(motions)
    leader = batch_of([stage(motions[0].frames, FPS)] * len(motions))
    full = codec.encode_full(leader, truth)
    streams = len(codec.spec)
    refined = codec.complete(full[..., :streams])
    offsets = torch.stack([motion.skeleton.offsets for motion in motions])
    rows = []
    for level in range(codec.levels + 1):
        row: Row = {"levels": level}
        for name, tokens in (("of the refiner", refined), ("of the motion itself", full)):
            kept = tokens.clone()
            kept[..., streams + level :] = DROPPED
            joints = codec.decode(kept, leader, offsets).joints
            row[f"{name}, mm"] = 1000 * float(
                mpjpe(joints[:, :, :22], truth.joints[:, :, :22]).mean()
            )
        rows.append(row)
    return rows


def readable(follower: Follower) -> ReadableCodec:
    """Return the follower's codec, whose tokens are words."""
    assert isinstance(follower.codec, ReadableCodec), "text2motion has a readable codec"
    return follower.codec


def batch_of(motions: Sequence[Motion]) -> MotionBatch:
    """Return motions of one length as one batch."""
    joints, rotations = (
        torch.stack([getattr(motion, name) for motion in motions])
        for name in ("joints", "rotations")
    )
    return MotionBatch(joints, rotations)


def pieces(store: DuetStore, frames: int, told: HeldOut) -> list[Motion]:
    """Return the motions of the held-out pieces, with their rotations."""
    found: dict[tuple[str, bytes], Motion] = {}
    for take, motion in dancers_of(store, "test"):
        for start in range(0, motion.frames - frames + 1):
            piece = motion.slice(start, start + frames)
            found[take, piece.joints[0, 0].numpy().tobytes()] = piece
    return [found[w.take, w.joints[0, 0].numpy().tobytes()] for w in told.windows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--run", type=Path, nargs="+", required=True, help="one for each store")
    parser.add_argument("--name", required=True, help="of what was danced, in the results")
    parser.add_argument("--seconds", type=float, default=3.2)
    parser.add_argument("--most", type=int, default=96, help="pieces of a store")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--best-of", type=int, default=8)
    arguments = parser.parse_args()
    if len(arguments.data) != len(arguments.run):
        parser.error(f"{len(arguments.data)} stores and {len(arguments.run)} runs do not pair up")
    torch.set_num_threads(1)
    folds = [
        load_fold(data, run, arguments.seconds, arguments.most)
        for data, run in zip(arguments.data, arguments.run, strict=True)
    ]
    dances: dict[str, dict[str, Any]] = {
        "guidance 1": {"sampling": WORDS_SAMPLING.model_copy(update={"guidance": 1.0})},
        f"guidance {WORDS_SAMPLING.guidance:g}": {},
        f"and best of {arguments.best_of}": {"best_of": arguments.best_of},
    }
    tables = {
        "captions read back": [round_trip(folds)],
        "facts that dances show": fact_rows(folds, dances, arguments.seeds),
        "likelihood of held-out dances": mean_rows(
            folds, [likelihood_rows(fold.follower, fold.told, fold.motions) for fold in folds]
        ),
        "levels of held-out bodies": mean_rows(
            folds, [level_rows(readable(fold.follower), fold.motions) for fold in folds]
        ),
    }
    for title, rows in tables.items():
        about = f"{title} on {arguments.name}"
        print(f"\n{about}")
        print_table(rows)
        path = write_results(f"text to motion: {about}", rows, SEED)
    print(path)


if __name__ == "__main__":
    main()
