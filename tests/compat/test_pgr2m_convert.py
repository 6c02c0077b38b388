"""`duet-rl convert pgr2m`: original checkpoints become one folder, or are refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl import checkpoint
from duet_rl.compat.pgr2m_convert import KIT_FEATURES, convert
from duet_rl.compat.pgr2m_files import OPTIONS, read_pgr2m
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.mocap.humanml3d import FEATURES
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.pgr2m import KIND, Pgr2m
from tests.cli.conftest import refusal, run
from tests.clip_towers import write_tower
from tests.compat.pgr2m_originals import (
    HEADS,
    PROMPT,
    ROWS,
    Files,
    base_state,
    refine_state,
    tokenizer_state,
    write_all,
)
from tests.planted import writes

GREEDY = SamplingConfig(temperature=0)
PARTS = ("tokenizer", "base", "refine")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = write_all(tmp_path / "files")
    draw = np.random.default_rng(0)
    numbers = {"mean": draw.normal(size=FEATURES), "std": draw.uniform(0.5, 2, FEATURES)}
    for name, values in numbers.items():
        made[name] = tmp_path / "files" / f"{name.title()}.npy"
        np.save(made[name], values.astype(np.float32))
    return made


def options(files: Files) -> list[object]:
    return [word for name, path in files.items() for word in (f"--{name}", path)]


def refused(files: Files, out: Path) -> str:
    """Return why files are refused; nothing is written then."""
    said = refusal("convert", "pgr2m", *options(files), "--out", out)
    assert not out.exists() and not list(out.parent.glob(".*tmp*"))
    return said


def test_a_converted_folder_dances_as_the_originals_do(files: Files, tmp_path: Path):
    out = tmp_path / "out"
    result = run("convert", "pgr2m", *options(files), "--out", out)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert f"{out}: {FEATURES} features a frame (metres), 70 groups of pose codes, 2 levels" in said
    originals, ours = read_pgr2m(*(files[part] for part in PARTS)), Pgr2m.load(out)
    prompt = torch.randn(2, PROMPT, 3, generator=torch.manual_seed(0))
    mean, std = (torch.from_numpy(np.load(files[name])) for name in ("mean", "std"))
    pairs = zip(originals.motion(prompt, GREEDY), ours.motion(prompt, GREEDY), strict=True)
    assert all(torch.allclose(a * std + mean, b, atol=1e-5) for a, b in pairs)


def test_nothing_in_the_folder_is_pickled(files: Files, tmp_path: Path):
    out = convert(**files, out=tmp_path / "out")
    assert {path.name for path in out.iterdir()} == {
        *(checkpoint.WEIGHTS, checkpoint.CONFIG, checkpoint.META)
    }


def test_meta_says_where_it_comes_from(files: Files, tmp_path: Path):
    meta = checkpoint.read_meta(convert(**files, out=tmp_path / "out"))
    facts = meta["converted_from"]
    assert (meta["kind"], facts["system"], facts["data"]) == (KIND, "pgr2m", "humanml3d")
    for name, path in files.items():
        assert facts[name] == {"file": path.name, "sha256": sha256_of(path)}


def test_a_second_conversion_replaces_the_first_and_nothing_else(files: Files, tmp_path: Path):
    out = convert(**files, out=tmp_path / "out")
    convert(**files, out=out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no pgr2m"):
        convert(**files, out=tmp_path / "mine")
    assert (tmp_path / "mine" / "precious.txt").read_text() == "mine"


def test_without_mean_and_std_motion_stays_normalised(files: Files, tmp_path: Path):
    del files["mean"], files["std"]
    assert Pgr2m.load(convert(**files, out=tmp_path / "out")).config.units == "normalised"


def test_without_a_refine_transformer_pose_codes_are_decoded_alone(files: Files, tmp_path: Path):
    del files["refine"]
    models = Pgr2m.load(convert(**files, out=tmp_path / "out"))
    assert models.refine is None and models.motion(torch.randn(1, PROMPT, 3))[0].isfinite().all()


@pytest.mark.parametrize("part", PARTS)
def test_missing_extra_and_misshapen_keys_are_listed(files: Files, part: str, tmp_path: Path):
    states = {"tokenizer": tokenizer_state, "base": base_state, "refine": refine_state}
    state = states[part]()
    missing, misshapen, *_ = [name for name in state if name.endswith("bias")][3:]
    del state[missing]
    state[misshapen] = torch.zeros(99)
    torch.save({"net": state | {"foreign.key": torch.zeros(1)}}, files[part])
    said = refused(files, tmp_path / "out")
    assert f"missing: {missing}" in said and "extra: foreign.key" in said
    assert f"other shape: {misshapen} (99,), wanted" in said and str(files[part]) in said


@pytest.mark.parametrize(("first", "second"), [("tokenizer", "base"), ("base", "refine")])
def test_swapped_files_are_refused(files: Files, first: str, second: str, tmp_path: Path):
    swapped = files | {first: files[second], second: files[first]}
    assert "look whether two files are swapped" in refused(swapped, tmp_path / "out")


def test_a_swapped_mean_and_std_are_refused(files: Files, tmp_path: Path):
    swapped = files | {"mean": files["std"], "std": files["mean"]}
    assert "look whether mean and std are swapped" in refused(swapped, tmp_path / "out")


@pytest.mark.parametrize("part", [*PARTS, "mean"])
def test_planted_code_is_refused_and_not_run(files: Files, part: str, tmp_path: Path):
    planted = writes(tmp_path / "run")
    if part == "mean":
        np.save(files[part], np.array([planted] * FEATURES, object), allow_pickle=True)
    else:
        torch.save({"net": planted}, files[part])
    said = refused(files, tmp_path / "out")
    assert "system" in said and str(files[part]) in said and not (tmp_path / "run").exists()


@pytest.mark.parametrize("part", [*PARTS, "std"])
def test_half_a_file_is_refused(files: Files, part: str, tmp_path: Path):
    whole = files[part].read_bytes()
    files[part].write_bytes(whole[: len(whole) // 2])
    assert str(files[part]) in refused(files, tmp_path / "out")


def test_numbers_of_another_data_set_are_refused(files: Files, tmp_path: Path):
    np.save(files["mean"], np.zeros(KIT_FEATURES, np.float32))
    assert f"({KIT_FEATURES},); a mean for each of {FEATURES}" in refused(files, tmp_path / "out")
    del files["mean"]
    assert "only one is given" in refused(files, tmp_path / "out")


def test_motion_of_no_known_data_is_refused(files: Files, tmp_path: Path):
    torch.save({"net": tokenizer_state(channels=100)}, files["tokenizer"])
    assert "100 features" in refused(files, tmp_path / "out")


def test_models_of_kit_are_kept_as_such(files: Files, tmp_path: Path):
    torch.save({"net": tokenizer_state(channels=KIT_FEATURES)}, files["tokenizer"])
    del files["mean"], files["std"]
    out = convert(**files, out=tmp_path / "out")
    assert checkpoint.read_meta(out)["converted_from"]["data"] == "kit"
    assert Pgr2m.load(out).motion(torch.randn(1, PROMPT, 3))[0].shape[1] == KIT_FEATURES


def test_options_and_words_about_heads_must_agree(files: Files, tmp_path: Path):
    with pytest.raises(InputError, match=f"say {HEADS} heads of attention, and 4 were given"):
        convert(**files, out=tmp_path / "out", base_heads=4)


@pytest.mark.parametrize("told_by", ["options", "words"])
def test_models_without_key_words_are_told_the_sentence_alone(
    files: Files, told_by: str, tmp_path: Path
):
    """The places of the key words are left empty, as the original leaves them."""
    torch.save({"r_trans": refine_state(prompt_steps=1)}, files["refine"])
    if told_by == "options":
        stored = f'{{"num_heads": {HEADS}, "use_keywords": false}}'
        (files["base"].parent / OPTIONS).write_text(stored)
    out = convert(**files, out=tmp_path / "out", keywords=None if told_by == "options" else False)
    config = Pgr2m.load(out).config.base
    assert (config.prompt_steps, config.steps) == (1, ROWS)


def test_options_and_words_about_key_words_must_agree(files: Files, tmp_path: Path):
    stored = f'{{"num_heads": {HEADS}, "use_keywords": true}}'
    (files["base"].parent / OPTIONS).write_text(stored)
    with pytest.raises(InputError, match="use_keywords: True"):
        convert(**files, out=tmp_path / "out", keywords=False)


def test_a_text_tower_is_kept_and_must_fit(files: Files, tmp_path: Path):
    pytest.importorskip("transformers")
    tower = write_tower(tmp_path / "tower", channels=3)
    out = convert(**files, out=tmp_path / "out", clip=tower)
    assert (out / "clip" / "model.safetensors").is_file()
    other = write_tower(tmp_path / "other", channels=4)
    with pytest.raises(InputError, match=r"other: its vectors have 4 channels .* prompt 3"):
        convert(**files, out=tmp_path / "none", clip=other)
    assert not (tmp_path / "none").exists()


def test_a_damaged_folder_is_refused(files: Files, tmp_path: Path):
    out = convert(**files, out=tmp_path / "out")
    weights = out / checkpoint.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged"):
        Pgr2m.load(out)
