"""PGR2M's checkpoint files become models that fit each other, or are refused by name."""

from pathlib import Path

import pytest
import torch

from duet_rl.compat.pgr2m_files import OPTIONS, read_pgr2m
from duet_rl.errors import InputError
from duet_rl.mocap.humanml3d import FEATURES
from duet_rl.models.pgr2m import PoseCodeGPT, PoseCodeGPTConfig
from duet_rl.models.pgr2m_refine import RefineConfig, RefineTransformer
from duet_rl.posecodes.catalogue import PGR2M392
from duet_rl.tokenizers.codes_vq import CodesVQConfig, CodesVQVAE
from duet_rl.tokenizers.pgr2m import Pgr2m
from tests.compat.pgr2m_originals import (
    HEADS,
    LEVELS,
    PROMPT,
    Files,
    base_state,
    refine_state,
    tokenizer_state,
    write_all,
)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return write_all(tmp_path)


def refused(files: Files, match: str, **heads: int) -> None:
    with pytest.raises(InputError, match=match):
        read_pgr2m(**files, **heads)


def test_models_of_the_published_sizes_have_as_many_weights_as_the_published_ones():
    """But for those that the original never uses, and its fixed positions."""
    paper = {"width": 512, "code_width": 512, "codes": 512, "quantizer": "soft"}
    table, classes = 62 * 1024, PGR2M392.classes
    with torch.device("meta"):
        counts = [
            sum(parameter.numel() for parameter in model.parameters())
            for model in (
                CodesVQVAE(CodesVQConfig(**paper), FEATURES, classes),
                PoseCodeGPT(PoseCodeGPTConfig(classes=classes)),
                RefineTransformer(RefineConfig(classes=classes)),
            )
        ]
    unused = (0, 2 * table, table + 2 * 514 * 1024)
    millions = [(own + more) / 1e6 for own, more in zip(counts, unused, strict=True)]
    assert millions == pytest.approx([25.94, 228.2, 80.8], abs=0.05)


def test_a_prompt_becomes_motion_of_as_many_frames_as_it_has_rows(files):
    models = read_pgr2m(**files)
    prompt = torch.randn(3, PROMPT, 3)
    motions = models.motion(prompt, generator=torch.Generator().manual_seed(0))
    again = models.base.sample(prompt, generator=torch.Generator().manual_seed(0))
    assert [len(motion) for motion in motions] == (4 * again.lengths).tolist()
    assert all(motion.shape[1] == FEATURES for motion in motions)


def test_what_refines_is_heard_in_the_motion(files):
    models, prompt = read_pgr2m(**files), torch.randn(1, PROMPT, 3)
    alone = Pgr2m(models.tokenizer, models.base, None)
    found, wanted = (
        own.motion(prompt, generator=torch.Generator().manual_seed(0))[0] for own in (models, alone)
    )
    assert found.shape == wanted.shape and not torch.allclose(found, wanted)


def test_the_prefix_of_data_parallel_training_is_no_matter(files):
    state = {f"module.{name}": x for name, x in tokenizer_state().items()}
    torch.save({"net": state}, files["tokenizer"])
    assert read_pgr2m(**files).tokenizer.config.levels == LEVELS


def test_swapped_files_are_refused(files):
    swapped = files | {"base": files["refine"], "refine": files["base"]}
    refused(swapped, "checkpoint of the refine transformer and was given as that of the base")


def test_heads_that_no_file_tells_are_asked_for(files):
    (files["base"].parent / OPTIONS).unlink()
    refused(files, "say how many there")
    assert read_pgr2m(**files, base_heads=HEADS).base.config.heads == HEADS


def test_a_tokenizer_of_another_training_is_refused(files):
    torch.save({"net": tokenizer_state(codes=5)}, files["tokenizer"])
    refused(files, r"says \(2, 4\) \(levels, codes\) and the tokenizer has \(2, 5\)")


def test_a_base_of_other_prompts_is_refused(files):
    torch.save(refine_state(prompt_channels=5), files["refine"])
    refused(files, r"prompts are \(12, 5\)")


def test_a_file_without_weights_is_refused(files):
    torch.save({"nb_iter": 7, "optimizer": {"state": {}}}, files["refine"])
    refused(files, "0 sets of weights")


def test_tensors_that_are_too_many_are_named(files):
    torch.save({"trans": base_state() | {"trans_base.more": torch.zeros(2)}}, files["base"])
    refused(files, "extra: trans_base.more")
