"""The evaluator of text and motion gives the vectors of the original's networks."""

import pytest
import torch

from duet_rl.compat.text_motion import read_evaluator, text_motion_evaluator
from duet_rl.errors import InputError
from duet_rl.models.text_motion import UNIT
from tests.golden.files import needs
from tests.golden.pgr2m_networks import FOLDER, Golden, assert_near, read

FILE = FOLDER / "t2m_evaluator.npz"
PARTS = {"movement_enc": "movement_encoder", "motion_enc": "motion_encoder"}
PARTS |= {"text_enc": "text_encoder"}

pytestmark = needs(FILE)


def states(golden: Golden) -> dict[str, Golden]:
    found: dict[str, Golden] = {part: {} for part in PARTS.values()}
    for name, tensor in golden.items():
        if name.startswith("sd."):
            part, key = name.removeprefix("sd.").split(".", 1)
            found[PARTS[part]][key] = tensor
    return found


def test_motions_and_texts_are_the_originals():
    golden = read(FILE)
    evaluator = text_motion_evaluator(states(golden))
    features, lengths = golden["features"], golden["unit_lens"].long()
    read_channels = evaluator.motion.movement.down.in_channels
    with torch.no_grad():
        movement = evaluator.motion.movement(features[..., :read_channels])
        motions = evaluator.embed_motion(features, lengths * UNIT)
        words = golden["word_emb"], golden["pos_onehot"], golden["cap_lens"].long()
        texts = evaluator.embed_text(*words)
    assert_near(movement, golden["movement"])
    assert_near(motions, golden["motion_embedding"])
    assert_near(texts, golden["text_embedding"])


def test_the_checkpoint_is_read_by_name_and_what_it_holds_beside_is_left(tmp_path):
    golden = read(FILE)
    file = tmp_path / "finest.tar"
    torch.save({**states(golden), "opt_text_encoder": {"state": {}}, "epoch": 3, "iter": 7}, file)
    ours, wanted = read_evaluator(file).state_dict(), text_motion_evaluator(states(golden))
    for name, tensor in wanted.state_dict().items():
        assert torch.equal(ours[name], tensor), name


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    found, file = states(read(FILE)), tmp_path / "finest.tar"
    torch.save({name: found[name] for name in ("movement_encoder", "text_encoder")}, file)
    with pytest.raises(InputError, match="no motion_encoder"):
        read_evaluator(file)
    found["text_encoder"]["input_emb.weight"] = torch.zeros(3, 3)
    found["motion_encoder"]["more"] = found["motion_encoder"].pop("hidden")
    torch.save(found, file)
    with pytest.raises(InputError, match=r"finest\.tar.*missing: motion_encoder\.hidden.*extra"):
        read_evaluator(file)
