"""Edits in words: `raise your left arm in the second half`."""

from duet_rl.captions.edits import Edit


def read_edits(text: str, frames: int) -> tuple[Edit, ...]:
    """Return the edits that a text asks of a motion of so many frames, 30 fps.

    Raises:
        InputError: a word or a wish that is not understood, with near ones; a time outside.
    """
    raise NotImplementedError
