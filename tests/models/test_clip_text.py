"""CLIP's text tower reads the same from every form that its weights come in, and no network."""

import gzip
import json
import socket
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.models.clip_text import ClipText
from duet_rl.models.clip_words import PACKED, read_clip_words
from duet_rl.models.text import PromptEncoder, TextConfig, reader_of

pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]
WIDTH, CHANNELS, LAYERS, LONGEST = 64, 12, 2, 9
MERGES = [("s", "t"), ("st", "e"), ("ste", "p</w>"), ("b", "a"), ("ba", "ck</w>"), ("c", "k</w>")]
WORDS = 2 * 256 + len(MERGES) + 2
TEXTS = ["step back", "Step   BACK", "a step", ""]


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, 1)
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(WIDTH, 4 * WIDTH))
        self.mlp.add_module("c_proj", nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normal = self.ln_1(x)
        x = x + self.attn(normal, normal, normal, need_weights=False, attn_mask=mask)[0]
        hidden = self.mlp[0](self.ln_2(x))
        return x + self.mlp[1](hidden * torch.sigmoid(1.702 * hidden))


class Tower(nn.Module):
    """The text tower of the paper, under the names that OpenAI's archive has."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Linear(3, 2)  # the other tower is there too
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.token_embedding = nn.Embedding(WORDS, WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn(LONGEST, WIDTH))
        self.ln_final = nn.LayerNorm(WIDTH)
        self.text_projection = nn.Parameter(torch.randn(WIDTH, CHANNELS))
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def forward(self, rows: Tensor) -> Tensor:
        x = (self.token_embedding(rows) + self.positional_embedding).transpose(0, 1)
        mask = torch.full((LONGEST, LONGEST), float("-inf")).triu(1)
        for layer in self.transformer.resblocks:
            x = layer(x, mask)
        x = self.ln_final(x).transpose(0, 1)
        return x[torch.arange(len(rows)), rows.argmax(-1)] @ self.text_projection


@pytest.fixture(scope="module")
def tower() -> Tower:
    torch.manual_seed(0)
    return Tower().eval()


@pytest.fixture(scope="module")
def archive(tower: Tower, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OpenAI's form: a TorchScript archive and the packed vocabulary beside it."""
    folder = tmp_path_factory.mktemp("openai")
    path = folder / "ViT-B-32.pt"
    torch.jit.trace(tower, torch.zeros(1, LONGEST, dtype=torch.long)).save(str(path))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in MERGES)]
    (folder / PACKED).write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


@pytest.fixture(scope="module")
def folder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hubs' form of the same."""
    return ClipText.load(archive).save(tmp_path_factory.mktemp("hub"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_an_archive_of_openai_says_what_its_own_code_would(tower: Tower, archive: Path):
    clip = ClipText.load(archive)
    rows = clip._batches(TEXTS)[0]
    assert clip.channels == CHANNELS
    assert torch.allclose(clip.sentences(TEXTS), tower(rows), atol=1e-5)


def test_case_and_spaces_do_not_matter_and_words_do(archive: Path):
    clip = ClipText.load(archive)
    same, spaced, other, empty = clip.sentences(TEXTS)
    assert torch.allclose(same, spaced, atol=1e-6)
    assert not torch.allclose(same, other) and not torch.allclose(same, empty)


def test_a_folder_of_the_hubs_says_the_same(archive: Path, folder: Path, tmp_path: Path):
    wanted = ClipText.load(archive).sentences(TEXTS)
    assert torch.allclose(ClipText.load(folder).sentences(TEXTS), wanted, atol=1e-6)
    assert not any(path.suffix in (".bin", ".pt", ".pkl") for path in folder.iterdir())
    # As both towers lie in one folder, with the vocabulary in one file and the weights pickled.
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"text_config": config, "model_type": "clip"}))
    words = read_clip_words(folder)
    whole = {"model": {"vocab": words.numbers, "merges": [list(pair) for pair in words.merges]}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    tensors = load_file(folder / "model.safetensors") | {"visual_projection.weight": torch.ones(2)}
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    assert torch.allclose(ClipText.load(tmp_path).sentences(TEXTS), wanted, atol=1e-6)


def test_words_merge_as_the_vocabulary_says(archive: Path):
    words = read_clip_words(archive.parent)
    numbers = words.numbers
    assert (numbers["!"], numbers["!</w>"]) == (0, 256) and words.end == WORDS - 1
    told = [words.start, numbers["step</w>"], numbers["back</w>"], words.end]
    assert words.read(["step back"], LONGEST) == [told]


def test_of_the_packed_merges_those_count_that_make_49408_words(tmp_path: Path):
    letters = [chr(i) for i in (*range(33, 127), *range(161, 173), *range(174, 324))]
    merges = [f"{a} {b}" for a in letters for b in letters]
    (tmp_path / PACKED).write_bytes(gzip.compress("\n".join(["#version: 0.2", *merges]).encode()))
    assert len(read_clip_words(tmp_path).numbers) == 49_408


def test_a_long_text_is_cut_and_still_ends(archive: Path):
    words = read_clip_words(archive.parent)
    (read,) = words.read(["step " * 50], LONGEST)
    assert len(read) == LONGEST and read[-1] == words.end


def test_words_have_states_up_to_their_end(folder: Path):
    states = ClipText.load(folder).words(["step back", "step"])
    assert states.shape == (2, LONGEST, WIDTH)
    assert [int(clip.any(-1).sum()) for clip in states] == [4, 3]
    assert not states[0, 4:].any()


def test_a_model_hears_each_word_and_of_an_empty_text_nothing(folder: Path):
    config = TextConfig(encoder="clip", clip=str(folder), channels=WIDTH, words=3)
    read = reader_of(config).read(["step back", ""])
    assert torch.equal(read[0], ClipText.load(folder).words(["step back"])[0, :3])
    prompt = PromptEncoder(config, width=8)(read)
    assert prompt.known.sum(dim=1).tolist() == [1 + 3, 1]


def test_a_vocabulary_of_another_tower_is_refused(folder: Path, tmp_path: Path):
    clip = ClipText.load(folder)
    clip.save(tmp_path)
    numbers = json.loads((tmp_path / "vocab.json").read_text()) | {"more": WORDS}
    (tmp_path / "vocab.json").write_text(json.dumps(numbers))
    with pytest.raises(InputError, match=rf"knows {WORDS} words .* has {WORDS + 1}"):
        ClipText.load(tmp_path)


def spoiled() -> dict[str, bytes]:
    packed = gzip.compress(b"#version: 0.2\ns t\nst e")
    return {
        "no gzip": b"#version: 0.2",
        "cut off": packed[:-9],
        "flipped": packed[:12] + b"\xff" * 8 + packed[20:],
        "swelling": gzip.compress(bytes(1 << 26), 1),
        "three symbols": gzip.compress(b"#version: 0.2\na b c"),
        "no letters": gzip.compress(b"\n\xff\xfe\xff"),
        "unknown symbols": gzip.compress("\n\u4e00 \u4e01".encode()),
    }


@pytest.mark.parametrize("name", spoiled())
def test_a_spoiled_vocabulary_is_refused(name: str, tmp_path: Path):
    (tmp_path / PACKED).write_bytes(spoiled()[name])
    with pytest.raises(InputError, match=r"vocabulary of CLIP in .* is damaged"):
        read_clip_words(tmp_path)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"none of model\.safetensors"):
        ClipText.load(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["text_model.final_layer_norm.bias"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"no vocabulary of CLIP; put vocab\.json"):
        ClipText.load(tmp_path)
    ClipText.load(folder).vocabulary.save(tmp_path)
    with pytest.raises(InputError, match=r"text_model\.final_layer_norm\.bias are missing"):
        ClipText.load(tmp_path)


def test_weights_that_are_no_numbers_are_refused(folder: Path, tmp_path: Path):
    tensors = load_file(folder / "model.safetensors")
    tensors["text_projection.weight"][0, 0] = torch.nan
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"NaN or infinity in text_projection\.weight"):
        ClipText.load(tmp_path)


def test_a_tower_of_pictures_is_refused(folder: Path, tmp_path: Path):
    save_file({"vision_model.x": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="no text tower of CLIP"):
        ClipText.load(tmp_path)


def test_without_the_library_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'duet-rl\[clip\]'"):
        ClipText.load(folder)
