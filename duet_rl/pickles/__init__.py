"""Other people's pickles: arrays and plain containers come in, everything else is refused unrun."""

from duet_rl.pickles.npy import load_object_npy, save_object_npy
from duet_rl.pickles.plain import load_pickle
from duet_rl.pickles.torch_files import load_torch_checkpoint
from duet_rl.pickles.torch_script import is_torch_script, load_torch_script_tensors

__all__ = [
    "is_torch_script",
    "load_object_npy",
    "load_pickle",
    "load_torch_checkpoint",
    "load_torch_script_tensors",
    "save_object_npy",
]
