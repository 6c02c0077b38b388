"""What tests ask of a triangle mesh."""

import numpy as np


def open_edges(faces: np.ndarray) -> int:
    """Return how many directed edges have no partner, or more than one, in the other direction.

    0 for a closed surface whose faces all look the same way.
    """
    half = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forth, times = np.unique(half, axis=0, return_counts=True)
    back = {tuple(edge) for edge in half[:, ::-1].tolist()}
    return sum(
        1
        for edge, count in zip(forth.tolist(), times, strict=True)
        if count != 1 or tuple(edge) not in back
    )


def components(faces: np.ndarray) -> int:
    """Return into how many pieces the mesh falls."""
    label = np.arange(faces.max() + 1)
    while True:
        lowest = label.copy()
        np.minimum.at(lowest, faces, label[faces].min(axis=1, keepdims=True))
        lowest = lowest[lowest]
        if (lowest == label).all():
            return len(np.unique(label))
        label = lowest
