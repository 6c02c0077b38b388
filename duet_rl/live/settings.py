"""What a live follower bears, and how it is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from duet_rl.config import Config
from duet_rl.generate.partner import FOUND
from duet_rl.tokenizers.holding import AS_LEARNED, FIRMEST


class IntakeConfig(Config):
    """How an uneven stream of leader poses becomes 30 even frames a second."""

    longest_gap: float = Field(0.5, gt=0)  # s; what lacks is drawn straight; longer is a pause
    jump: float = Field(0.4, gt=0)  # m over the floor in a frame; a faster leader was moved
    turn: float = Field(2.0, gt=0)  # rad in a frame; likewise
    reach: float = Field(2.5, gt=0)  # m from the root to any joint; beyond, a pose is broken
    farthest: float = Field(1000.0, gt=0)  # m from the origin; likewise


class DialConfig(Config):
    """What may be changed in the midst of a dance; None leaves it as it is."""

    look_ahead: int | None = Field(None, ge=0, le=29)  # tokens of future that it waits for
    temperature: float | None = Field(None, ge=0, le=10)  # of the sampling
    hold: float | None = Field(None, ge=0, le=FIRMEST)  # how firmly hands are held

    @property
    def turned(self) -> dict[str, Any]:
        """The dials that somebody turned, by name."""
        values = {name: getattr(self, name) for name in DialConfig.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class LiveConfig(Config):
    """How a follower dances live."""

    look_ahead: int = Field(0, ge=0, le=29)  # tokens of future that it waits for, 133 ms each
    temperature: float = Field(0.8, ge=0)  # of the sampling
    hold: float = Field(AS_LEARNED, ge=0, le=FIRMEST)  # how firmly hands are held
    # tokens by which decoding waits, of a codec that looks ahead; a causal one needs none
    delay: int = Field(1, ge=0, le=8)
    window: int = Field(16, ge=4, le=64)  # tokens that such a codec decodes again each time
    slack: int = Field(1, ge=0, le=8)  # frames that a token's work may take without being missed
    step: float = Field(0.2, gt=0)  # m a frame by which the root may outrun the leader's
    pending: int = Field(8, ge=1)  # tokens of work that wait; beyond, poses are dropped
    intake: IntakeConfig = IntakeConfig()


class ServerConfig(Config):
    """What a server allows."""

    max_clients: int = Field(8, ge=1)  # dancing couples and watchers, each
    message_bytes: int = Field(256 * 1024, ge=4096)  # longest message
    hello_seconds: float = Field(10.0, gt=0)  # in which a client has to say what it wants
    idle_seconds: float = Field(30.0, gt=0)  # without a message, a client is taken for gone
    outgoing: int = Field(64, ge=4)  # frames that wait to be sent; beyond, the oldest is dropped
    workers: int = Field(1, ge=1)  # threads that compute


@dataclass(frozen=True)
class LiveWish:
    """What somebody wants to serve.

    Args:
        checkpoint: folder of a follower.
        host: to listen on.
        port: likewise.
        token: that clients must give.
        leader: file of a take that is played as the leader.
        music: its song.
        reading: how the take is read, see `mocap.motion_file.read_motion`.
        seed: of the take's first dance.
        start: `found`, or `FILE[:SECONDS]`: the pose that each dance begins with.
        start_at: `METRES[,DEGREES]`: where that is, seen from the leader's first pose.
        device: where the follower dances.
        replicas: processes of Ray Serve; None: this process serves.
    """

    checkpoint: Path
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    leader: Path | None = None
    music: Path | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    start: str = FOUND
    start_at: str | None = None
    device: str = "cpu"
    replicas: int | None = None
