"""A token spec says what each stream is and refuses tokens that it cannot mean."""

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.tokenizers.spec import Stream, TokenSpec, check_frames

SPEC = TokenSpec(
    (
        Stream("upper", 8, "upper"),
        Stream("placement", 4, "placement"),
        Stream("placement_fine", 4, "placement", level=1),
    )
)


def test_spec_lists_its_streams_in_order():
    assert SPEC.names == ("upper", "placement", "placement_fine")
    assert SPEC.classes == (8, 4, 4)
    assert SPEC.parts == ("upper", "placement", "placement")


def test_valid_tokens_pass():
    SPEC.validate(torch.tensor([[[7, 3, 3], [0, 0, 0]]]))


def test_token_outside_its_stream_is_refused_by_name():
    with pytest.raises(InputError, match="placement_fine holds tokens from 0 to 4, wanted 0 to 3"):
        SPEC.validate(torch.tensor([[[7, 3, 4], [0, 0, 0]]]))


def test_other_number_of_streams_is_refused():
    with pytest.raises(InputError, match="2 streams, wanted 3"):
        SPEC.validate(torch.zeros(1, 1, 2, dtype=torch.int64))


def test_two_streams_of_one_name_are_refused():
    with pytest.raises(InputError, match="distinct"):
        TokenSpec((Stream("upper", 8, "upper"), Stream("upper", 8, "upper")))


def test_frames_that_make_no_whole_token_are_refused():
    check_frames(240)
    for frames in (0, 241):
        with pytest.raises(InputError, match="trim or pad"):
            check_frames(frames)
