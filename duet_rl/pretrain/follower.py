"""The follower stage: which GPT learns to continue the true follower's tokens, and from where."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from duet_rl import checkpoint
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.models.window_gpt import WindowGPTConfig
from duet_rl.pretrain.follower_stage import FOLLOWER, PARTS, FollowerConfig, FollowerStage
from duet_rl.pretrain.multistream import MultiStreamStage
from duet_rl.pretrain.stage import StagePlan
from duet_rl.pretrain.window_stage import WindowStage

__all__ = ["FOLLOWER", "FollowerConfig", "FollowerPlan"]

_OF_STREAMS = ("text", "alone", "told_dropout")  # settings that a GPT of windows does not know


@dataclass(frozen=True)
class FollowerPlan(StagePlan):
    """Train the follower on the tokens of a finished codec, `codec` or else the run's own."""

    name: ClassVar[str] = FOLLOWER
    config: FollowerConfig
    codec: Path | None = None

    @property
    def codec_folder(self) -> Path:
        """Where the codec's two parts are."""
        return self.codec or self.out

    def open(self) -> FollowerStage:
        """Read the data and build the GPT."""
        windows = isinstance(self.config.gpt, WindowGPTConfig)
        kind = WindowStage if windows else MultiStreamStage
        return kind(DuetStore.open(self.data), self.config, self.codec_folder)

    def require_fit(self) -> None:
        """Raise `InputError` if soloists are to learn from couples, or the other way round."""
        store, config = DuetStore.open(self.data), self.config
        self._require_settings_fit()
        if config.music and {record.music_source for record in store.records()} == {"none"}:
            raise InputError(
                f"{self.data} has no music to hear; set follower.music=false (--preset text2motion)"
            )
        leader = config.leader
        alone = store.solo or config.alone
        if isinstance(config.gpt, WindowGPTConfig) or alone == (leader == "none"):
            return
        if store.solo:
            raise InputError(
                f"{self.data} holds soloists, and follower.leader={leader} is for couples; set "
                "follower.leader=none (--preset solo), or give a store of couples"
            )
        if config.alone:
            raise InputError(
                f"follower.alone=true lets each dancer learn by himself, and follower.leader="
                f"{leader} tells him of a leader; set follower.leader=none or follower.alone=false"
            )
        raise InputError(
            f"{self.data} holds couples, and follower.leader=none is for soloists; make soloists "
            f"of them (`duet-rl prepare solo {self.data} --out NEW`), or set "
            "follower.leader=features (the other presets)"
        )

    def _require_settings_fit(self) -> None:
        """Raise `InputError` if settings ask for what this kind of GPT cannot do."""
        config, gpt = self.config, self.config.gpt
        if isinstance(gpt, WindowGPTConfig):
            asked = [name for name in _OF_STREAMS if getattr(config, name)]
            if asked:
                raise InputError(
                    f"follower.{asked[0]} is for a multi-stream GPT, and follower.gpt.architecture "
                    f"is {gpt.architecture}; leave it out, or set "
                    "follower.gpt.architecture=multistream"
                )
            return
        if gpt.text is not None and config.text is None:
            raise InputError(
                "follower.gpt.text is set and follower.text is not, so that no captions would be "
                "read; set follower.text, which both hear of"
            )
        if config.text is None and not config.music and config.leader == "none":
            raise InputError(
                "the follower would be told of nothing: no music, no leader, no words; set "
                "follower.music=true, follower.text={} or follower.leader=features"
            )
        if gpt.stop and config.leader != "none":
            raise InputError(
                "follower.gpt.stop lets a dance end where it likes, and one beside a leader ends "
                "with the leader; set follower.gpt.stop=false or follower.leader=none"
            )

    def settings(self) -> Mapping[str, Any]:
        """Return what the result depends on."""
        missing = [p for p in PARTS if not checkpoint.is_checkpoint(self.codec_folder / p, p)]
        if missing:
            raise InputError(
                f"{self.codec_folder} has no finished {' and '.join(missing)} tokenizer; run "
                f"`duet-rl pretrain {missing[0]}` first"
            )
        return {part: sha256_of(self.codec_folder / part / checkpoint.WEIGHTS) for part in PARTS}
