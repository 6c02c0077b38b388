"""The choice of a librosa: as a setting, and what it means."""

import pytest

from duet_rl.audio.recipes import MusicConfig, recipe
from duet_rl.config import resolve, validate
from duet_rl.errors import InputError


@pytest.mark.parametrize("word", ["compat=0.8", "compat='0.8'"])
def test_the_setting_may_look_like_a_number(word):
    assert resolve(MusicConfig, overrides=[word]).compat == "0.8"


@pytest.mark.parametrize("value", [0.9, "0.10", 1, None])
def test_another_version_is_refused(value):
    with pytest.raises(InputError, match="compat"):
        validate(MusicConfig, {"compat": value})


def test_the_filters_of_librosa_08_are_a_hundredth_shorter():
    assert recipe("0.8").filter_scale == pytest.approx(0.99028148, abs=1e-8)
