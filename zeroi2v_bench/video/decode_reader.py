"""What every reader of clips offers, be it of video files or of folders of extracted frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What decoding a whole clip showed.

    Attributes:
        num_frames: Frames that the decoder gives; legal indices are ``range(num_frames)``.
        width: Pixels, as displayed.
        height: Pixels, as displayed.
        codec: FFmpeg's name of the codec; the file suffix for extracted frames.
        damage: Why the clip is not sound ("" if it is): corrupt frames, error lines of the
            decoder, missing frames, or an end before the time that the container promises.
    """

    num_frames: int
    width: int
    height: int
    codec: str
    damage: str = ""

    @property
    def damaged(self) -> bool:
        """Whether frames are missing or not what was encoded."""
        return bool(self.damage)


class Reader(Protocol):
    """One open clip. Iterating once gives its frames in order, not yet converted to pixels."""

    def __iter__(self) -> Iterator[Any]:
        """The frames, in the form that ``rgb`` takes."""
        ...

    def rgb(self, frame: Any) -> np.ndarray:
        """(H, W, C) uint8."""
        ...

    def num_bytes(self, frame: Any) -> int:
        """Memory that holding the unconverted frame takes."""
        ...

    def info(self) -> VideoInfo:
        """The verdict, once the iteration has ended."""
        ...
