"""Pieces of an evaluation on all processors: Ray workers, or this process alone."""

import os
from collections.abc import Iterator, Sequence

from duet_rl.errors import InputError
from duet_rl.evaluate.followers import Entrant
from duet_rl.evaluate.task import Job, Outcome, Piece, run_piece
from duet_rl.resources import ADDRESS, start_ray, usable_cpus

_AHEAD = 2  # pieces given to each worker before its results are asked for; bounds the memory
_CANCEL_SECONDS = 5.0  # that workers get to let go of what is not wanted any more


def outcomes_of(pieces: Sequence[Piece], job: Job) -> Iterator[tuple[Piece, Outcome]]:
    """Yield every piece with what it found, in any order; the numbers do not depend on the order.

    Raises:
        InputError: a piece cannot be done; the others are cancelled.
    """
    if _is_alone(job.config.workers):
        for piece in pieces:
            yield piece, run_piece(piece, job)
        return
    yield from _in_parallel(pieces, job)


def _is_alone(workers: int | None) -> bool:
    """Return whether this process does all the work: that is wanted, or there is no other."""
    if workers is not None:
        return workers == 1
    return usable_cpus() == 1 and not os.environ.get(ADDRESS)


def _in_parallel(pieces: Sequence[Piece], job: Job) -> Iterator[tuple[Piece, Outcome]]:
    import ray

    started = start_ray()
    remote = ray.remote(num_cpus=1)(run_piece)
    waiting: dict[ray.ObjectRef, Piece] = {}
    left = iter(pieces)
    try:
        # A number that somebody chose is how many work at once; else Ray shares out all there is.
        most = job.config.workers or _AHEAD * int(ray.cluster_resources().get("CPU", 1))
        while True:
            while len(waiting) < most and (piece := next(left, None)) is not None:
                gpus = _gpus(piece.entrant, ray.cluster_resources())
                waiting[remote.options(num_gpus=gpus).remote(piece, job)] = piece
            if not waiting:
                return
            (done, *_), _ = ray.wait(list(waiting), num_returns=1)
            yield waiting.pop(done), ray.get(done)
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)
        if waiting:
            ray.wait(list(waiting), num_returns=len(waiting), timeout=_CANCEL_SECONDS)
        if started:
            ray.shutdown()


def _gpus(entrant: Entrant, resources: dict[str, float]) -> int:
    """Return how many GPUs a piece of this follower takes.

    Raises:
        InputError: it is to dance on a GPU, and the cluster has none.
    """
    wanted = str(getattr(entrant, "device", "cpu")).startswith("cuda")
    if wanted and not resources.get("GPU"):
        raise InputError(
            f"{entrant.name} is to dance on cuda, and the Ray cluster has no GPU; use --device cpu"
        )
    return int(wanted)
