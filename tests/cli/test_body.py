"""`duet-rl prepare body`: stand-ins for the licensed body models."""

from pathlib import Path

from duet_rl.meshes.smplx import GENDERS
from tests.cli.conftest import refusal, run


def test_stand_ins_are_written_for_every_gender(tmp_path: Path) -> None:
    result = run("prepare", "body", "--out", tmp_path / "models")
    assert "not the licensed SMPL-X" in result.stdout
    names = {path.name for path in (tmp_path / "models").iterdir()}
    assert names == {f"SMPLX_{gender.upper()}.npz" for gender in GENDERS}


def test_a_licensed_model_is_never_overwritten(tmp_path: Path) -> None:
    licensed = tmp_path / "SMPLX_FEMALE.npz"
    licensed.write_bytes(b"theirs")
    assert "SMPLX_FEMALE.npz is there and is no stand-in" in refusal(
        "prepare", "body", "--out", tmp_path
    )
    assert [path.name for path in tmp_path.iterdir()] == [licensed.name]
    assert licensed.read_bytes() == b"theirs"


def test_a_file_is_no_folder_for_models(tmp_path: Path) -> None:
    file = tmp_path / "models"
    file.write_text("")
    assert "give a folder" in refusal("prepare", "body", "--out", file)
