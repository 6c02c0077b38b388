"""Two data-parallel workers know all words that either of them was told."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from duet_rl.models.text import PromptEncoder, TextConfig, reader_of

WORLD = 2
WORDS = TextConfig(buckets=64, width=16, layers=0, heads=2)
TOLD = ("raises the left arm", "turns right")  # one a worker


def told(texts: list[str], parallel: bool) -> dict[str, Tensor]:
    """Return what an encoder knows after a step of training that told it these texts."""
    torch.manual_seed(0)
    encoder = PromptEncoder(WORDS, 8).train()
    # As the loop of pretraining does it: buffers are not sent around.
    module = DistributedDataParallel(encoder, broadcast_buffers=False) if parallel else encoder
    module(reader_of(WORDS).read(texts)).vectors.sum().backward()
    return encoder.state_dict()


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD
    )
    save_file(told([TOLD[rank]], parallel=True), f"{folder}/{rank}.safetensors")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder: Path = tmp_path_factory.mktemp("words")
    mp.spawn(work, args=(str(folder),), nprocs=WORLD)
    return [load_file(folder / f"{rank}.safetensors") for rank in range(WORLD)]


@pytest.mark.slow
def test_every_worker_hears_the_words_that_another_was_told(knowing) -> None:
    one = told(list(TOLD), parallel=False)["encode.seen"]
    assert one.sum() > told([TOLD[0]], parallel=False)["encode.seen"].sum()
    for of_worker in knowing:
        assert torch.equal(of_worker["encode.seen"], one)
