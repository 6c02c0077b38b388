"""Does a dancer to words show what he is told? Facts of held-out captions, shown and by chance.

    python scripts/benchmarks/text_to_motion.py --data STORE --run RUN

`RUN` is what `duet-rl pretrain text2motion` has made of `STORE`. Four questions, each a table: do
captions come back as their facts; how many facts of held-out captions do dances show, beside the
truth, and beside the texts of other takes; how likely are held-out dances with their own words,
with those of others and without; and what do the residual levels of the refiner bring.
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
ROUND_TRIPS = 2000  # captions
SHOWN = [ALL, *(kind for kind in KINDS if kind != "couple")]  # each dances alone
Row = dict[str, Any]


class HeldOut(NamedTuple):
    """Pieces of held-out dances with a caption each, and for each another piece of another take."""

    windows: list[TextWindow]
    texts: list[str]
    others: list[int]

    @property
    def takes(self) -> list[str]:
        """The take of each piece."""
        return [window.take for window in self.windows]


def held_out(store: DuetStore, seconds: float, most: int) -> tuple[HeldOut, Captioner]:
    """Return pieces of the test split, and the captioner that the training split taught."""
    learned = cut_windows(dancers_of(store, "train"), seconds, seconds)
    captioner = Captioner.fit([window.joints for window in learned])
    windows = spread_over(cut_windows(dancers_of(store, "test"), seconds, seconds / 2), most)
    generator = torch.Generator().manual_seed(SEED)
    texts = [window.caption(generator, captioner).text for window in windows]
    others = []
    for window in windows:
        rows = [i for i, other in enumerate(windows) if other.take != window.take]
        others.append(rows[int(torch.randint(len(rows), (), generator=generator))])
    return HeldOut(windows, texts, others), captioner


def round_trip(told: HeldOut, captioner: Captioner) -> Row:
    """Return how many captions are read back as the facts that they were written from."""
    generator = torch.Generator().manual_seed(SEED + 1)
    same = 0
    for index in range(ROUND_TRIPS):
        caption = told.windows[index % len(told.windows)].caption(generator, captioner)
        same += parse(caption.text) == caption.facts
    return {"captions": ROUND_TRIPS, "read back exactly": f"{same / ROUND_TRIPS:.2%}"}


def fact_rows(
    told: HeldOut, dances: dict[str, Callable[[Sequence[str], int, int], list[Tensor]]], seeds: int
) -> list[Row]:
    """Return which share of the facts each row's dances show, of their own texts and of others'."""
    frames = len(told.windows[0].joints)
    made = {"true motion": [[window.joints] for window in told.windows]}
    for name, dance in dances.items():
        by_seed = [dance(told.texts, frames, seed) for seed in range(seeds)]
        made[name] = [list(each) for each in zip(*by_seed, strict=True)]
    rows = []
    for name, motions in made.items():
        own = shares(told.texts, motions)
        control = shares([told.texts[i] for i in told.others], motions)
        row: Row = {"dance": name}
        for kind in SHOWN:
            mean, chance = (mean_over_takes(x[kind], told.takes, "") for x in (own, control))
            apart = mean_over_takes(own[kind] - control[kind], told.takes, "")
            if mean.interval is None or chance.interval is None:
                continue
            difference = "" if apart.interval is None else f"; {apart.interval:+.2f}"
            row[kind] = f"{mean.interval.mean:.2f} / {chance.interval.mean:.2f}{difference}"
        rows.append(row)
    said = shares(told.texts, made["true motion"])
    counts = {kind: int(torch.isfinite(said[kind]).sum()) for kind in rows[0] if kind in SHOWN}
    return [{"dance": "(texts that say it)", **counts}, *rows]


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
    codec, gpt = follower.codec, follower.model
    assert isinstance(codec, ReadableCodec) and isinstance(gpt, MultiStreamGPT)
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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", default="")
    parser.add_argument("--seconds", type=float, default=3.2)
    parser.add_argument("--most", type=int, default=96)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--best-of", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store, follower = DuetStore.open(arguments.data), load_follower(arguments.run / "follower")
    assert isinstance(follower.codec, ReadableCodec)
    told, captioner = held_out(store, arguments.seconds, arguments.most)
    frames = len(told.windows[0].joints) // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
    # Tokens say how a dancer moves on from where he began: on the stage, facing front.
    motions = [
        put_on_stage(motion.slice(0, frames))
        for motion in pieces(store, len(told.windows[0].joints), told)
    ]
    plain = WORDS_SAMPLING.model_copy(update={"guidance": 1.0})
    dances = {
        "guidance 1": text_dancer(follower, plain),
        f"guidance {WORDS_SAMPLING.guidance:g}": text_dancer(follower),
        f"and best of {arguments.best_of}": text_dancer(follower, best_of=arguments.best_of),
    }
    about = f" on {arguments.name or arguments.data.name}"
    tables = {
        "captions read back": [round_trip(told, captioner)],
        "facts that dances show": fact_rows(told, dances, arguments.seeds),
        "likelihood of held-out dances": likelihood_rows(follower, told, motions),
        "levels of held-out bodies": level_rows(follower.codec, motions),
    }
    for title, rows in tables.items():
        print(f"\n{title}{about}")
        print_table(rows)
        path = write_results(f"text to motion: {title}{about}", rows, SEED)
    print(path)


if __name__ == "__main__":
    main()
