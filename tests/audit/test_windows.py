"""Windows: whole tokens of all clips, halves without a take in common, strangers from elsewhere."""

import pytest

from duet_rl.audit.settings import AuditConfig
from duet_rl.audit.windows import cut_windows, frames_of, load_pairs, stranger_of
from duet_rl.config import validate
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import ClipRecord
from duet_rl.errors import InputError

LENGTHS = {"a": 300, "b": 100, "c": 260, "d": 130, "e": 500}
FOUR_SECONDS = AuditConfig(seconds=4.0)


def records(**styles: str) -> list[ClipRecord]:
    facts = {"sha256": "", "audio": None, "tempo": 120.0, "source": "", "fingerprint": ""}
    return [
        ClipRecord(
            name=name,
            choreography=name,
            frames=frames,
            music_source="rendered",
            style=styles.get(name, "salsa"),
            **facts,  # type: ignore[arg-type]
        )
        for name, frames in LENGTHS.items()
    ]


def test_every_clip_that_is_long_enough_is_cut_from_its_beginning():
    windows = cut_windows(records(), FOUR_SECONDS)
    assert frames_of(FOUR_SECONDS) == 120
    assert [(window.clip, window.start) for window in windows] == [
        *(("a", 0), ("a", 120), ("c", 0), ("c", 120), ("d", 0)),
        *(("e", 0), ("e", 120), ("e", 240), ("e", 360)),
    ]


def test_no_take_is_on_both_sides_of_a_comparison_of_sets():
    windows = cut_windows(records(), FOUR_SECONDS)
    judged, reference = ({w.take for w in windows if w.judged is side} for side in (True, False))
    assert len(judged) == len(reference) == 2 and not judged & reference


def test_fewer_windows_are_spread_over_all_clips():
    windows = cut_windows(records(), AuditConfig(seconds=4.0, max_windows=4))
    assert [window.clip for window in windows] == ["a", "c", "e", "e"]


def test_both_sides_have_takes_where_every_other_one_is_left_out():
    """Nine takes of a window each, of which five are looked at: the first, the third, ..."""
    first = records()[0]
    short = [
        first.model_copy(update={"name": name, "choreography": name, "frames": 120})
        for name in "abcdefghi"
    ]
    windows = cut_windows(short, AuditConfig(seconds=4.0, max_windows=5))
    assert [window.clip for window in windows] == list("acegi")
    assert [window.take for window in windows] == list(range(5))
    assert sum(window.judged for window in windows) == 3


def test_a_stranger_is_of_another_dance_and_of_the_same_style_if_there_is_one():
    windows = cut_windows(records(d="waltz", c="waltz"), FOUR_SECONDS)
    for row, window in enumerate(windows):
        stranger = stranger_of(row, windows)
        assert stranger is not None
        assert windows[stranger].take != window.take
    alone = [window for window in windows if window.clip == "e"]
    assert stranger_of(0, alone) is None
    same_half = [window for window in windows if window.judged]
    row = next(row for row, window in enumerate(same_half) if window.clip == "a")
    assert stranger_of(row, same_half) is not None


def test_pairs_are_the_windows_and_their_strangers(store: DuetStore):
    windows = cut_windows(store.records(), FOUR_SECONDS)
    pairs = load_pairs(store, windows, [0, 3], frames_of(FOUR_SECONDS))
    assert [pair.clip.name for pair in pairs] == [windows[0].clip, windows[3].clip]
    for pair in pairs:
        assert pair.other is not None
        assert pair.clip.frames == pair.other.frames == 120
        assert pair.other.choreography != pair.clip.choreography


def test_windows_longer_than_every_clip_are_refused():
    with pytest.raises(InputError, match=r"longest of 5 clips lasts 16\.7 s.*audit\.seconds lower"):
        cut_windows(records(), AuditConfig(seconds=20.0))
    with pytest.raises(InputError, match="longest of 0 clips"):
        cut_windows([], AuditConfig())


def test_an_attack_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match=r"'freezing'.*frozen"):
        validate(AuditConfig, {"attacks": ["freezing"]})
