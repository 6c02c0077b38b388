"""The licensed SMPL-X body model, through the `smplx` package: poses in, joints and surface out.

The model files are not ours to give; `meshes/stand_in.py` writes files of the same layout that are.
Settings are those of DD100: ten betas, no hand PCA, flat hands at rest, a neutral face.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from duet_rl.body.skeleton import NUM_JOINTS, PARENTS, Skeleton
from duet_rl.errors import InputError
from duet_rl.mocap.npz import load_arrays

GENDERS = ("neutral", "male", "female")
BETAS = 10

_FOLDERS = (".", "smplx", "models/smplx")  # where the files lie in a folder that people give
_SOURCE = (
    "register at https://smpl-x.is.tue.mpg.de for the licensed files, or make a stand-in with "
    "`duet-rl prepare body --out FOLDER`"
)
_VERTICES = 10_475
_ARRAYS: dict[str, tuple[int | None, ...]] = {  # what the package needs; None: any size
    "v_template": (_VERTICES, 3),
    "f": (None, 3),
    "weights": (_VERTICES, NUM_JOINTS),
    "J_regressor": (NUM_JOINTS, _VERTICES),
    "shapedirs": (_VERTICES, 3, None),
    "posedirs": (_VERTICES, 3, 9 * (NUM_JOINTS - 1)),
    "kintree_table": (2, NUM_JOINTS),
    "lmk_faces_idx": (None,),
    "lmk_bary_coords": (None, 3),
    "dynamic_lmk_faces_idx": (79, None),
    "dynamic_lmk_bary_coords": (79, None, 3),
    "hands_componentsl": (45, 45),
    "hands_componentsr": (45, 45),
    "hands_meanl": (45,),
    "hands_meanr": (45,),
}
_FACES = ("f", "lmk_faces_idx", "dynamic_lmk_faces_idx")  # whole numbers
_EXPRESSIONS = 10  # the fewest that the package takes; all zero here
_CHUNK = 64  # frames that the model makes at once: 100 MB
_PARTS = {  # joints in the order of the pose, under the package's names
    "global_orient": slice(0, 1),
    "body_pose": slice(1, 22),
    "jaw_pose": slice(22, 23),
    "leye_pose": slice(23, 24),
    "reye_pose": slice(24, 25),
    "left_hand_pose": slice(25, 40),
    "right_hand_pose": slice(40, 55),
}


class BodyModel:
    """One gender of SMPL-X.

    Axes are those of the input: whatever way a translation points up, so do the joints.

    Example:
        model = BodyModel.load(Path("models"), "female")
        motion = model.motion(poses, transl, betas, fps=30.0)
        mesh = model.vertices(motion, betas), model.faces
    """

    def __init__(self, network: Any, gender: str) -> None:
        """Wrap a `smplx.SMPLX`; `load` makes one from a file."""
        self.gender = gender
        self.faces: Int[Tensor, "F 3"] = network.faces_tensor
        # The joint that carries most of each vertex.
        self.owners: Int[Tensor, V] = network.lbs_weights.argmax(dim=1)
        self._network = network

    @classmethod
    def load(cls, models: Path | str, gender: str = "neutral") -> "BodyModel":
        """Read a model file. Nothing in it is unpickled, for a pickle can run any program.

        Args:
            models: `SMPLX_<GENDER>.npz`, or a folder that holds it, itself or in `smplx/`.
            gender: "neutral", "male" or "female".

        Raises:
            InputError: the package `smplx` is missing; no such gender; the file is missing, a
                pickle, damaged, of another gender, or no SMPL-X.
        """
        gender = str(gender).lower()
        if gender not in GENDERS:
            raise InputError(f"body model of gender {gender!r}; wanted {', '.join(GENDERS)}")
        try:
            import smplx
        except ImportError as error:
            raise InputError(
                "body models need the package smplx, which is not installed; "
                "run: pip install 'duet-rl[smplx]'"
            ) from error
        arrays = _read(_find(Path(models), gender))
        # The package reads its file with pickles allowed. It gets a copy that can hold none.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "model.npz"
            np.savez(copy, **arrays)  # type: ignore[arg-type]
            with contextlib.redirect_stdout(io.StringIO()):  # it remarks on the ten betas
                network = smplx.SMPLX(
                    str(copy),
                    gender=gender,
                    num_betas=BETAS,
                    num_expression_coeffs=_EXPRESSIONS,
                    use_pca=False,
                    flat_hand_mean=True,
                    use_face_contour=True,
                    ext="npz",
                )
        return cls(network.requires_grad_(False).eval(), gender)

    @torch.no_grad()
    def motion(
        self,
        poses: Float[Tensor, "T 55 3"],
        transl: Float[Tensor, "T 3"],
        betas: Float[Tensor, "K"],
        fps: float,
    ) -> Motion:
        """Return the motion of a body.

        Args:
            poses: each joint's rotation relative to its parent as an axis-angle, radians.
            transl: translation of the model, metres: the pelvis less where it is at rest.
            betas: shape; the first ten count.
            fps: frames per second.

        Raises:
            InputError: shapes that do not fit, no frame, fewer than ten betas, NaN or infinity.
        """
        poses, transl = torch.as_tensor(poses), torch.as_tensor(transl)
        wanted = {"poses": (len(poses), NUM_JOINTS, 3), "transl": (len(poses), 3)}
        for name, tensor in (("poses", poses), ("transl", transl)):
            if tuple(tensor.shape) != wanted[name] or not len(tensor):
                raise InputError(
                    f"{name} of shape {tuple(tensor.shape)}; a body model wants (T, 55, 3) "
                    "axis-angles and (T, 3) metres for the same T frames, at least one"
                )
            if not torch.isfinite(tensor).all():
                raise InputError(f"{name} hold NaN or infinity; repair or cut the take")
        shape = self._shape(betas)
        poses, transl = poses.to(shape), transl.to(shape)
        made = self._forward(poses, transl, shape)
        joints = torch.cat([output.joints[:, :NUM_JOINTS] for output in made])
        return Motion(joints, axis_angle_to_matrix(poses), self.skeleton(betas), fps)

    @torch.no_grad()
    def skeleton(self, betas: Float[Tensor, "K"]) -> Skeleton:
        """Return the bones of a body of this shape; the first ten betas count."""
        rest = self._rest(self._shape(betas))
        offsets = rest - rest[[0, *PARENTS[1:]]]
        return Skeleton(offsets, name=f"SMPL-X {self.gender}")

    @torch.no_grad()
    def vertices(self, motion: Motion, betas: Float[Tensor, "K"]) -> Float[Tensor, "T V 3"]:
        """Return the surface of a body that moves so, metres; the triangles are `faces`.

        A frame takes 126 kB: cut a long motion with `motion.slice`.

        Args:
            motion: its pelvis and rotations; the bones are those of `betas`.
            betas: shape; the first ten count.
        """
        shape = self._shape(betas)
        poses = matrix_to_axis_angle(motion.rotations).to(shape)
        transl = motion.root.to(shape) - self._rest(shape)[0]
        return torch.cat([output.vertices for output in self._forward(poses, transl, shape)])

    def _rest(self, shape: Tensor) -> Float[Tensor, "55 3"]:
        still = shape.new_zeros(1, NUM_JOINTS, 3)
        (output,) = self._forward(still, still[:, 0], shape)
        return output.joints[0, :NUM_JOINTS]

    def _forward(self, poses: Tensor, transl: Tensor, shape: Tensor) -> Iterator[Any]:
        """Yield what the package makes of every `_CHUNK` frames."""
        for start in range(0, len(poses), _CHUNK):
            part = poses[start : start + _CHUNK]
            frames = len(part)
            yield self._network(
                betas=shape.expand(frames, -1),
                expression=shape.new_zeros(frames, _EXPRESSIONS),
                transl=transl[start : start + frames],
                **{name: part[:, joints].flatten(1) for name, joints in _PARTS.items()},
            )

    def _shape(self, betas: Tensor) -> Float[Tensor, "10"]:
        betas = torch.as_tensor(betas)
        if betas.ndim != 1 or len(betas) < BETAS or not torch.isfinite(betas).all():
            raise InputError(
                f"betas of shape {tuple(betas.shape)}; wanted at least {BETAS} finite numbers in "
                "one row: the shape of one body"
            )
        return betas[:BETAS].to(self._network.v_template)


def _find(models: Path, gender: str) -> Path:
    """Return the file of a gender."""
    name = f"SMPLX_{gender.upper()}"
    if models.is_dir():
        found = [models / folder / f"{name}.npz" for folder in _FOLDERS]
        pickles = [path.with_suffix(".pkl") for path in found]
        for path in (*found, *pickles):
            if path.is_file():
                return _not_a_pickle(path)
        raise InputError(f"{models} holds no {name}.npz; {_SOURCE}")
    if not models.is_file():
        raise InputError(f"{models} does not exist; wanted {name}.npz or its folder: {_SOURCE}")
    other = models.stem.upper().removeprefix("SMPLX_").lower()
    if other in GENDERS and other != gender:
        raise InputError(f"{models} is the {other} body; wanted the {gender} one, or ask for it")
    return _not_a_pickle(models)


def _not_a_pickle(path: Path) -> Path:
    if path.suffix == ".pkl":
        raise InputError(
            f"{path} is a pickle, which can run any program when it is opened; take the .npz of "
            "the same model"
        )
    return path


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that the package needs, with the betas that are used."""
    arrays = load_arrays(path, lambda name: name in _ARRAYS)
    for name, wanted in _ARRAYS.items():
        if name not in arrays:
            raise InputError(f"{path} holds no {name}, so it is no SMPL-X model; {_SOURCE}")
        array = arrays[name]
        fits = array.ndim == len(wanted) and all(
            size is None or size == found for size, found in zip(wanted, array.shape, strict=True)
        )
        if not fits or not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
            sizes = ", ".join("any" if size is None else str(size) for size in wanted)
            raise InputError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}, wanted ({sizes}) finite "
                f"numbers as in SMPL-X; {_SOURCE}"
            )
    _check_meaning(path, arrays)
    directions = arrays["shapedirs"][:, :, :BETAS]
    arrays["shapedirs"] = np.pad(directions, ((0, 0), (0, 0), (0, _EXPRESSIONS)))
    whole = {name: arrays[name].astype(np.int64) for name in (*_FACES, "kintree_table")}
    return {name: array.astype(np.float32) for name, array in arrays.items()} | whole


def _check_meaning(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a model of another tree, with too few shapes, or with faces of no vertices."""
    if tuple(arrays["kintree_table"][0, 1:]) != PARENTS[1:]:
        raise InputError(f"{path}: the joint tree is not that of SMPL-X; {_SOURCE}")
    if arrays["shapedirs"].shape[2] < BETAS:
        found = arrays["shapedirs"].shape[2]
        raise InputError(f"{path}: {found} shape directions, wanted at least {BETAS}; {_SOURCE}")
    faces = len(arrays["f"])
    limits = (_VERTICES, faces, faces)
    for name, limit in zip(_FACES, limits, strict=True):
        array = arrays[name]
        if array.size and not (0 <= array.min() and array.max() < limit):
            raise InputError(f"{path}: {name} goes beyond {limit - 1}; fetch the file again")
    for kind in ("lmk", "dynamic_lmk"):
        index, bary = arrays[f"{kind}_faces_idx"], arrays[f"{kind}_bary_coords"]
        if bary.shape != (*index.shape, 3):
            raise InputError(
                f"{path}: {kind}_bary_coords of shape {bary.shape} for landmarks of shape "
                f"{index.shape}; fetch the file again"
            )
