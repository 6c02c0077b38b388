"""Do edits in words happen, in dances that the codec has never seen, and what else moves?

    python scripts/benchmarks/editing.py --data STORE --codec RUN/codec
    python scripts/benchmarks/editing.py --data STORE --codec RUN/codec --picture docs/editing.png

Of each dance of the test split, both dancers are edited: `LENGTH` seconds of each, every kind of
edit in the second half, and pairs of edits of which one follows the other at once. Five ways: poses
decoded after the wanted codes alone were changed, and after all codes of the limb were; the take's
own poses nudged; decoded and nudged, which is what `duet-rl edit` does; and this beside the
partner, whose hands it holds. One thread. With `--picture` one frame of each kind is drawn instead,
the take to the left of the edited one.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from bench import print_table, write_results
from PIL import Image, ImageDraw, ImageFont

from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Duet
from duet_rl.captions.edit_language import read_edits
from duet_rl.captions.edits import Edit
from duet_rl.datasets.store import DuetStore
from duet_rl.edit.nudge import NudgeConfig
from duet_rl.edit.retrieve import RetrieveConfig, strangeness
from duet_rl.edit.run import Edited, edit, readable
from duet_rl.edit.settings import EditConfig
from duet_rl.edit.wants import FPS
from duet_rl.generate.render import pictures_of
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

SEED = 0
START, LENGTH = 5.0, 8.0  # s into each take, and of it
WORDS = (
    "raise your left arm",
    "raise both arms",
    "lower the right arm",
    "straighten the right arm",
    "bend the left arm",
    "bring both hands together",
    "bring both hands closer together",
    "put the left hand on the right shoulder",
    "cross your arms",
    "bend the knees more deeply",
    "crouch",
    "keep your legs wide apart",
    "lean forward",
)
PAIRS = (
    "raise your left arm in the first half, lower it in the second half",
    "raise both arms in the first half, put the left hand on the right shoulder in the second half",
    "crouch in the first half, lean forward in the second half",
)
COUPLE = "beside the partner"
AS_DECODED = NudgeConfig(steps=0)
WAYS = {
    "wanted codes alone": EditConfig(retrieve=RetrieveConfig(whole=False), nudge=AS_DECODED),
    "decoded": EditConfig(nudge=AS_DECODED),
    "nudged": EditConfig(retrieve=None),
    "both": EditConfig(),
    COUPLE: EditConfig(),
}
# Too much like another, or mostly shown before.
NOT_DRAWN = ("bring both hands closer together", "bend the left arm", "lower the right arm")
TILE = (280, 240, 5)  # width and height in pixels, and how many in a line
VIEW, BESIDE = 0.5, 0.5  # rad by which figures are turned; m to either side
OF_COUPLE = ("hold_share", "hold_recall", "kept_recall", "penetration", "partner_distance")


def dancers(data: Path) -> list[Duet]:
    """Return a cut of each dancer of the test split, as the follower of the other."""
    start, stop = round(START * FPS), round((START + LENGTH) * FPS)
    cuts = [clip.duet.slice(start, stop) for clip in DuetStore.open(data).clips("test")]
    return [duet for cut in cuts for duet in (cut, cut.swapped())]


def scored(edited: Edited, bank: torch.Tensor) -> dict[str, float]:
    """Return what counts of one edit, or of a pair, for means over dancers."""
    parts = {part for want in edited.wants for part in want.parts}
    touched = [edited.moved[part] for part in parts]
    others = [value for part, value in edited.moved.items() if part not in parts]
    middles = edited.requested.any(0).nonzero()[::FRAMES_PER_TOKEN, 0]
    before, after = (
        BODY_CODES.codes(motion.joints)[middles] for motion in (edited.source, edited.motion)
    )
    of_couple = {
        f"{name}_{when}": values[name]
        for name in OF_COUPLE
        for when, values in (("before", edited.before), ("after", edited.after))
        if name in values
    }
    return {
        "before": mean(edited.rates_before),
        "after": mean(edited.rates),
        "touched_mm": sum(touched) / len(touched),
        "others_mm": sum(others) / len(others),
        "slide_before": edited.before["foot_slide"],
        "slide_after": edited.after["foot_slide"],
        "jerk_before": edited.before["jerk"],
        "jerk_after": edited.after["jerk"],
        "peak_speed_before": edited.before["peak_speed"],
        "peak_speed_after": edited.after["peak_speed"],
        "strange_before": float(strangeness(before, bank).mean()),
        "strange_after": float(strangeness(after, bank).mean()),
        **of_couple,
    }


def measured(duets: list[Duet], codec: ReadableCodec, way: str) -> list[dict[str, Any]]:
    """Return one row for each kind of edit: means over dancers."""
    config = WAYS[way].with_unseen(nearest=True)
    bank = codec.bank.codes.long()
    rows: list[dict[str, Any]] = []
    for words in (*WORDS, *PAIRS):
        begun, found = time.perf_counter(), []
        for duet in duets:
            asked = _asked(words, duet.frames)
            partner = duet.leader if way == COUPLE else None
            found.append(scored(edit(duet.follower, asked, codec, partner, config), bank))
        seconds = (time.perf_counter() - begun) / len(duets)
        means = {key: mean(one[key] for one in found) for key in found[0]}
        worst = {"worst": min(one["after"] for one in found), "seconds": round(seconds, 2)}
        rows.append(
            {"way": way, "edit": words, "dancers": len(found)}
            | {key: round(value, 4) for key, value in means.items()}
            | worst
        )
    every = {
        key: round(mean(row[key] for row in rows[: len(WORDS)]), 4)
        for key, value in rows[0].items()
        if isinstance(value, float)
    }
    return [*rows, {"way": way, "edit": "all", "dancers": len(duets)} | every]


def _asked(words: str, frames: int) -> list[Edit]:
    return read_edits(words if words in PAIRS else f"{words} in the second half", frames)


def draw(path: Path, duets: list[Duet], codec: ReadableCodec) -> None:
    """Draw a frame of each kind of edit, before and after, as one picture."""
    width, height, columns = TILE
    drawn = [words for words in WORDS if words not in NOT_DRAWN]
    lines = -(-len(drawn) // columns)
    sheet = Image.new("RGB", (columns * width, lines * height), "white")
    for number, words in enumerate(drawn):
        dancer = duets[number % len(duets)].follower
        asked = _asked(words, dancer.frames)
        edited = edit(dancer, asked, codec, config=EditConfig().with_unseen(nearest=True))
        apart = (edited.motion.joints - edited.source.joints).norm(dim=-1).mean(1)
        frame = int((apart * edited.requested[0]).argmax())
        middle = [-float(x) for x in edited.source.root[frame] * torch.tensor([1.0, 0.0, 1.0])]
        yaw = VIEW - float(facing_angle(edited.source.joints)[frame])
        before, after = (
            motion.slice(frame, frame + 1).moved(middle).turned(yaw).moved([side, 0.0, 0.0])
            for motion, side in ((edited.source, -BESIDE), (edited.motion, BESIDE))
        )
        tile = Image.fromarray(next(pictures_of(Duet(before, after), width, height)))
        ImageDraw.Draw(tile).text((8, 6), words, fill=(40, 48, 62), font=ImageFont.load_default(13))
        sheet.paste(tile, (number % columns * width, number // columns * height))
    sheet.quantize(128).save(path, optimize=True)


def mean(values: Iterable[float]) -> float:
    """Return the mean of those that mean something; NaN if none does."""
    return float(torch.tensor(list(values)).nanmean())


def _shown(cell: Any) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of a clip store")
    parser.add_argument("--codec", type=Path, required=True, help="folder of a readable codec")
    parser.add_argument("--way", choices=[*WAYS, "all"], default="all", help="how edits are made")
    parser.add_argument("--picture", type=Path, help="draw one frame of each kind of edit")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codec, duets = readable(load_codec(options.codec)), dancers(options.data)
    if options.picture is not None:
        draw(options.picture, duets, codec)
        return
    ways = list(WAYS) if options.way == "all" else [options.way]
    rows = [row for way in ways for row in measured(duets, codec, way)]
    for way in ways:
        own = [row for row in rows if row["way"] == way]
        print_table([{key: _shown(cell) for key, cell in row.items()} for row in own])
    told = [{key: None if cell != cell else cell for key, cell in row.items()} for row in rows]
    print(write_results("editing", told, SEED))


if __name__ == "__main__":
    main()
