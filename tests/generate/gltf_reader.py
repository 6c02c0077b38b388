"""A reader of GLB that shares nothing with the writer but the specification of glTF 2.0."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {5121: "u1", 5123: "<u2", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """A file with one animation, evaluated at any time."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length, json_length, kind = struct.unpack("<4sIII4s", data[:20])
        assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
        self.json: dict[str, Any] = json.loads(data[20 : 20 + json_length])
        size, kind = struct.unpack("<I4s", data[20 + json_length : 28 + json_length])
        assert kind == b"BIN\0" and size >= self.json["buffers"][0]["byteLength"]
        self.blob = data[28 + json_length :]
        self.nodes = self.json["nodes"]
        self.names = [node["name"] for node in self.nodes]

    def array(self, accessor: int) -> np.ndarray:
        about = self.json["accessors"][accessor]
        view = self.json["bufferViews"][about["bufferView"]]
        start = view.get("byteOffset", 0) + about.get("byteOffset", 0)
        width = WIDTHS[about["type"]]
        flat = np.frombuffer(
            self.blob, DTYPES[about["componentType"]], about["count"] * width, start
        )
        return flat.reshape(-1, width) if width > 1 else flat

    def tracks(self) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
        """Times and values by node and path."""
        (animation,) = self.json["animations"]
        found = {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            assert sampler["interpolation"] == "LINEAR"
            target = channel["target"]["node"], channel["target"]["path"]
            found[target] = self.array(sampler["input"]), self.array(sampler["output"])
        return found

    def worlds(self, time: float) -> np.ndarray:
        """Global 4 x 4 matrices of all nodes at a time."""
        tracks = self.tracks()
        local = []
        for index, node in enumerate(self.nodes):
            matrix = np.eye(4)
            spin = node.get("rotation", [0, 0, 0, 1])
            place = node.get("translation", [0, 0, 0])
            if (index, "rotation") in tracks:
                spin = slerp(*around(*tracks[index, "rotation"], time))
            if (index, "translation") in tracks:
                before, after, share = around(*tracks[index, "translation"], time)
                place = (1 - share) * before + share * after
            matrix[:3, :3], matrix[:3, 3] = turn(np.asarray(spin, float)), place
            local.append(matrix)
        worlds = np.zeros((len(local), 4, 4))
        todo = [(root, np.eye(4)) for root in self.json["scenes"][0]["nodes"]]
        while todo:
            index, above = todo.pop()
            worlds[index] = above @ local[index]
            todo += [(child, worlds[index]) for child in self.nodes[index].get("children", [])]
        return worlds

    def skin_of(self, name: str) -> dict[str, Any]:
        """The skin whose root node has this name."""
        (skin,) = (s for s in self.json["skins"] if self.names[s["skeleton"]] == name)
        return skin

    def joints(self, name: str, time: float) -> dict[str, np.ndarray]:
        """Places of a dancer's joints by name."""
        worlds = self.worlds(time)
        return {self.names[node]: worlds[node][:3, 3] for node in self.skin_of(name)["joints"]}

    def surface(self, name: str, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Vertices of a dancer's mesh as skinning puts them, and its faces."""
        skin = self.skin_of(name)
        (node,) = (n for n in self.nodes if n.get("skin") == self.json["skins"].index(skin))
        (part,) = self.json["meshes"][node["mesh"]]["primitives"]
        places = self.array(part["attributes"]["POSITION"]).astype(float)
        carriers = self.array(part["attributes"]["JOINTS_0"])
        weights = self.array(part["attributes"]["WEIGHTS_0"])
        bind = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        moves = self.worlds(time)[skin["joints"]] @ bind
        blended = (weights[..., None, None] * moves[carriers]).sum(1)
        homogeneous = np.concatenate([places, np.ones((len(places), 1))], axis=1)
        moved = (blended @ homogeneous[..., None])[:, :3, 0]
        return moved, self.array(part["indices"]).reshape(-1, 3)


def around(
    times: np.ndarray, values: np.ndarray, time: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The values on both sides of a time, and how far it is on the way."""
    after = int(np.searchsorted(times, np.float32(time)).clip(0, len(times) - 1))
    before = max(after - 1, 0)
    if before == after:
        return values[after].astype(float), values[after].astype(float), 0.0
    share = (time - times[before]) / (times[after] - times[before])
    return values[before].astype(float), values[after].astype(float), float(share)


def slerp(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """As appendix C of the specification has it."""
    cosine = float(before @ after)
    if cosine < 0:
        after, cosine = -after, -cosine
    if cosine > 0.9999:  # the arc is a line, and its angle not to be had from the cosine
        return (1 - share) * before + share * after
    angle = np.arccos(cosine)
    return (np.sin((1 - share) * angle) * before + np.sin(share * angle) * after) / np.sin(angle)


def turn(q: np.ndarray) -> np.ndarray:
    """The matrix of a quaternion x, y, z, w."""
    x, y, z, w = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
