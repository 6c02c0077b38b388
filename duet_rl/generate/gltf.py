"""Dances as GLB (binary glTF 2.0): skinned figures and their animation in one file."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pygltflib as gl

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import CHILDREN, JOINT_NAMES, NUM_JOINTS
from duet_rl.drawing.draw import Colour
from duet_rl.files import atomic_path
from duet_rl.generate.cast import GENERATOR, cast_of, linear, notes_of
from duet_rl.meshes.figure_mesh import FigureMesh, JointTracks, figure_mesh, joint_tracks

ANIMATION = "dance"
BODY = "{}_body"  # name of a dancer's mesh
ROUGHNESS = 0.7  # of the figures, which are no metal
_ALIGNMENT = 4  # bytes
_COMPONENTS = {
    np.dtype(np.float32): gl.FLOAT,
    np.dtype(np.uint16): gl.UNSIGNED_SHORT,
    np.dtype(np.uint8): gl.UNSIGNED_BYTE,
}
_TYPES = {(): gl.SCALAR, (3,): gl.VEC3, (4,): gl.VEC4, (4, 4): gl.MAT4}


def write_glb(dance: Motion | Duet, path: Path | str, audio: Path | None = None) -> None:
    """Write a dancer or a couple as GLB, whole or not at all.

    Metres, Y-up, as glTF has it. Each dancer is a tree of 55 nodes with the names of SMPL-X, below
    a node `leader`, `follower` or `dancer`, and the stand-in body as a skinned mesh. One animation
    moves all of them, keyed on each frame of the dance. At rest the nodes stand in the first frame.

    Args:
        dance: who dances.
        path: where.
        audio: the music. glTF has no place for sound: only its name is written down.
    """
    scene = gl.Scene(name=Path(path).stem, extras=notes_of(dance, audio), nodes=[])
    file = _File(gl.GLTF2(asset=gl.Asset(generator=GENERATOR), scenes=[scene], scene=0))
    animation = gl.Animation(name=ANIMATION)
    times = file.add(_float32(np.arange(dance.frames) / dance.fps), bounds=True)
    shared: _Shared | None = None
    for name, colour, motion in cast_of(dance):
        mesh, tracks = figure_mesh(motion.skeleton), joint_tracks(motion)
        shared = shared or _Shared.of(file, mesh)
        first = len(file.gltf.nodes)
        _add_nodes(file, name, tracks)
        _add_tracks(file, animation, tracks, first + 1, times)
        skin = _add_skin(file, name, motion, first)
        body = gl.Node(name=BODY.format(name), mesh=_add_mesh(file, name, mesh, colour, shared))
        body.skin = skin
        file.gltf.nodes.append(body)
        scene.nodes += [first, len(file.gltf.nodes) - 1]
    file.gltf.animations.append(animation)
    content = file.content()
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@dataclass
class _File:
    """A glTF document and the bytes of its buffer."""

    gltf: gl.GLTF2
    chunks: list[bytes] = field(default_factory=list)
    length: int = 0

    def add(self, array: np.ndarray, target: int | None = None, bounds: bool = False) -> int:
        """Store an array of one element a row, and return its accessor."""
        content = np.ascontiguousarray(array).tobytes()
        views, accessors = self.gltf.bufferViews, self.gltf.accessors
        view = gl.BufferView(
            buffer=0, byteOffset=self.length, byteLength=len(content), target=target
        )
        accessor = gl.Accessor(
            bufferView=len(views),
            componentType=_COMPONENTS[array.dtype],
            count=len(array),
            type=_TYPES[array.shape[1:]],
        )
        if bounds:
            rows = array.reshape(len(array), -1)
            accessor.min, accessor.max = rows.min(0).tolist(), rows.max(0).tolist()
        views.append(view)
        accessors.append(accessor)
        padding = -len(content) % _ALIGNMENT
        self.chunks.append(content + bytes(padding))
        self.length += len(content) + padding
        return len(accessors) - 1

    def content(self) -> bytes:
        """Return the whole file."""
        self.gltf.buffers = [gl.Buffer(byteLength=self.length)]
        self.gltf.set_binary_blob(b"".join(self.chunks))
        return b"".join(self.gltf.save_to_bytes())


@dataclass(frozen=True)
class _Shared:
    """Accessors of what all figures have in common."""

    faces: int
    carriers: int
    weights: int

    @classmethod
    def of(cls, file: _File, mesh: FigureMesh) -> "_Shared":
        return cls(
            faces=file.add(mesh.faces.reshape(-1), gl.ELEMENT_ARRAY_BUFFER),
            carriers=file.add(mesh.carriers, gl.ARRAY_BUFFER),
            weights=file.add(mesh.weights, gl.ARRAY_BUFFER),
        )


def _add_nodes(file: _File, name: str, tracks: JointTracks) -> None:
    """Add a dancer's node and below it his joints, in the first frame."""
    first = len(file.gltf.nodes) + 1
    file.gltf.nodes.append(gl.Node(name=name, children=[first]))
    for joint in range(NUM_JOINTS):
        file.gltf.nodes.append(
            gl.Node(
                name=JOINT_NAMES[joint],
                translation=_float32(tracks.translations[0, joint]).tolist(),
                rotation=_float32(tracks.rotations[0, joint]).tolist(),
                children=[first + child for child in CHILDREN[joint]],
            )
        )


def _add_tracks(
    file: _File, animation: gl.Animation, tracks: JointTracks, first: int, times: int
) -> None:
    """Key the pelvis and what else moves; what does not stays as its node has it."""
    for path, values in (("translation", tracks.translations), ("rotation", tracks.rotations)):
        for joint in range(NUM_JOINTS):
            track = _float32(values[:, joint])
            if joint != 0 and (track == track[0]).all():
                continue
            target = gl.AnimationChannelTarget(node=first + joint, path=path)
            animation.channels.append(
                gl.AnimationChannel(sampler=len(animation.samplers), target=target)
            )
            animation.samplers.append(
                gl.AnimationSampler(
                    input=times, interpolation=gl.ANIM_LINEAR, output=file.add(track)
                )
            )


def _add_skin(file: _File, name: str, motion: Motion, root: int) -> int:
    """Add a skin whose joints are bound where the bones are at rest."""
    bind = np.tile(np.eye(4, dtype=np.float32), (NUM_JOINTS, 1, 1))
    bind[:, 3, :3] = -motion.skeleton.rest_joints().cpu().numpy()  # columns first, as glTF has it
    joints = list(range(root + 1, root + 1 + NUM_JOINTS))
    file.gltf.skins.append(
        gl.Skin(name=name, inverseBindMatrices=file.add(bind), skeleton=root, joints=joints)
    )
    return len(file.gltf.skins) - 1


def _add_mesh(file: _File, name: str, mesh: FigureMesh, colour: Colour, shared: _Shared) -> int:
    file.gltf.materials.append(
        gl.Material(
            name=name,
            pbrMetallicRoughness=gl.PbrMetallicRoughness(
                baseColorFactor=[*linear(colour), 1.0],
                metallicFactor=0.0,
                roughnessFactor=ROUGHNESS,
            ),
            alphaCutoff=None,
        )
    )
    attributes = gl.Attributes(
        POSITION=file.add(mesh.vertices, gl.ARRAY_BUFFER, bounds=True),
        NORMAL=file.add(mesh.normals, gl.ARRAY_BUFFER),
        JOINTS_0=shared.carriers,
        WEIGHTS_0=shared.weights,
    )
    primitive = gl.Primitive(
        attributes=attributes, indices=shared.faces, material=len(file.gltf.materials) - 1
    )
    file.gltf.meshes.append(gl.Mesh(name=BODY.format(name), primitives=[primitive]))
    return len(file.gltf.meshes) - 1


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
