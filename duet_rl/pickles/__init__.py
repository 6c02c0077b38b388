"""Other people's pickles: arrays and plain containers come in, everything else is refused unrun."""

from duet_rl.pickles.npy import load_object_npy, save_object_npy
from duet_rl.pickles.plain import load_pickle
from duet_rl.pickles.torch_files import load_torch_checkpoint

__all__ = ["load_object_npy", "load_pickle", "load_torch_checkpoint", "save_object_npy"]
