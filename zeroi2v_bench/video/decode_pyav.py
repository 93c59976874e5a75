"""Video files, decoded from the first frame on with PyAV."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode_reader import VideoInfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Files only, and only formats that do not name other files, as a playlist does.
_OPEN_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,avi,matroska,asf,flv,mpeg,mpegts,ogg",
}
# Both VP9 decoders give the same frames, but libvpx notices nearly all random damage, much of which
# FFmpeg's own decoder passes over.
_STRICT_DECODERS = {"vp9": "libvpx-vp9"}
# A clip is short if it ends more than this many frames before the time that its header promises.
_FRAMES_MAY_MISS = 4


@contextmanager
def open_file(path: Path) -> Iterator[FileReader]:
    """The best video stream of a file.

    Raises:
        DecodeError: Whatever goes wrong in FFmpeg while the file is open.
    """
    try:
        with (
            _ERROR_LINES.heard() as lines,
            av.open(
                f"file:{path.absolute()}",
                container_options=_OPEN_OPTIONS,
                metadata_errors="replace",
            ) as container,
        ):
            yield FileReader(path, container, lines)
    except (av.error.FFmpegError, MemoryError) as error:
        raise DecodeError(f"{path}: {_reason(error)}") from error


class FileReader:
    """Decodes in the calling thread alone, like a worker of a data loader.

    So FFmpeg's error lines of this thread are those of this clip. Like the ffmpeg command it goes
    on after a packet that cannot be decoded, and ends where the file cannot be read on; both are
    damage.
    """

    def __init__(self, path: Path, container: Any, lines: list[tuple[int, str, str]]) -> None:
        stream = container.streams.best("video")
        if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
            raise DecodeError(f"{path}: no video stream")
        if stream.codec_context is None:
            raise DecodeError(f"{path}: FFmpeg has no decoder for its video stream")
        self._path, self._container, self._stream, self._lines = path, container, stream, lines
        self._decoder = _decoder(stream)
        self._first: Any = None
        self._count = self._corrupt = 0
        self._end: int | None = None
        self._failures: list[str] = []

    def __iter__(self) -> Iterator[Any]:
        for packet in self.packets():
            self._corrupt += packet.is_corrupt
            try:
                frames = self._decoder.decode(packet)
            except av.error.FFmpegError as error:
                self._failures.append(
                    f"undecodable packet after {self._count} frames: {_reason(error)}"
                )
                continue
            for frame in frames:
                self._note(frame)
                yield frame

    def packets(self) -> Iterator[Any]:
        """The packets of the stream; an empty one at the end makes the decoder give up its last."""
        try:
            yield from self._container.demux(self._stream)
        except av.error.FFmpegError as error:
            self._failures.append(f"unreadable after {self._count} frames: {_reason(error)}")

    def _note(self, frame: Any) -> None:
        self._first = frame if self._first is None else self._first
        self._count += 1
        self._corrupt += frame.is_corrupt
        if frame.pts is not None:
            end = frame.pts + (frame.duration or 0)
            self._end = end if self._end is None else max(self._end, end)

    @property
    def container_format(self) -> str:
        """FFmpeg's name of the container's format."""
        return str(self._container.format.name)

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec, such as h264 or av1, whichever decoder is used."""
        return str(self._stream.codec_context.codec.canonical_name)

    def rgb(self, frame: Any) -> np.ndarray:
        """(H, W, C) uint8 at the size of the clip's first frame, turned as players show it."""
        width, height = self._first.width, self._first.height
        pixels: np.ndarray = frame.to_ndarray(format="rgb24", width=width, height=height, threads=1)
        turns = self._quarter_turns()
        return np.rot90(pixels, turns) if turns else pixels

    def _quarter_turns(self) -> int:
        return round(int(self._first.rotation) / 90) % 4

    def num_bytes(self, frame: Any) -> int:
        """Memory that holding the unconverted frame takes."""
        return sum(plane.buffer_size for plane in frame.planes)

    def info(self) -> VideoInfo:
        """What the frames read so far showed; whole clips only.

        Raises:
            DecodeError: There was no frame.
        """
        if self._first is None:
            raise DecodeError(f"{self._path}: {self._damage() or 'no frame can be decoded'}")
        size = (self._first.width, self._first.height)
        width, height = reversed(size) if self._quarter_turns() % 2 else size
        return VideoInfo(
            num_frames=self._count,
            width=width,
            height=height,
            codec=self.codec,
            damage=self._damage(),
        )

    def _damage(self) -> str:
        short = self._missing_end()
        corrupt = [f"corrupt frames or packets: {self._corrupt}"] if self._corrupt else []
        lines = [f"{name}: {' '.join(text.split())}" for _, name, text in self._own_lines()]
        found = [*short, *corrupt, *dict.fromkeys([*self._failures, *lines])]
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        return "; ".join(found[:3]) + more

    def _own_lines(self) -> list[tuple[int, str, str]]:
        """Error lines but those of other streams, which FFmpeg looks into while it opens a file."""
        others = {
            stream.codec_context.name
            for stream in self._container.streams
            if stream is not self._stream and stream.codec_context is not None
        } - {self._decoder.name}
        return [
            line for line in self._lines if line[0] <= av.logging.ERROR and line[1] not in others
        ]

    def _missing_end(self) -> list[str]:
        promised_s = self._promised_s()
        rate = self._stream.guessed_rate or self._stream.average_rate
        if promised_s is None or not rate or self._end is None:
            return []
        end_s = float(self._end * self._stream.time_base)
        if end_s + _FRAMES_MAY_MISS / float(rate) >= promised_s:
            return []
        return [f"ends at {end_s:.2f} s, but the file promises {promised_s:.2f} s"]

    def _promised_s(self) -> float | None:
        """Duration of the video stream by the header; of the file where it is the one stream.

        FFmpeg shortens the duration of a truncated AVI file, so there the frame count speaks. In
        MP4 it does not: an edit list may hide frames.
        """
        stream, container = self._stream, self._container
        if self.container_format == "avi" and stream.frames and stream.average_rate:
            return float(stream.frames / stream.average_rate)
        if stream.duration:
            return float(stream.duration * stream.time_base)
        if tagged := _tagged_seconds(stream.metadata):
            return tagged
        if container.duration and len(container.streams) == 1:
            return float(container.duration / av.time_base)
        return None


def _decoder(stream: Any) -> Any:
    strict = _STRICT_DECODERS.get(stream.codec_context.codec.canonical_name)
    available = strict in av.codec.codecs_available
    decoder = av.CodecContext.create(strict, "r") if strict and available else stream.codec_context
    decoder.thread_type, decoder.thread_count = "NONE", 1
    return decoder


def _tagged_seconds(metadata: dict[str, str]) -> float | None:
    """Matroska keeps a stream's duration in a tag, such as 00:01:02.345000000."""
    try:
        hours, minutes, seconds = metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    """One line, with the error line of FFmpeg that explains it where there is one."""
    log = getattr(error, "log", None)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    detail = f" ({log[1]}: {log[2]})" if log else ""
    return " ".join(f"{text}{detail}".split())


class _ErrorLines:
    """Hears FFmpeg's error lines of the calling thread.

    PyAV has one log level for the process and drops repeated lines, whichever clip they are of.
    Both are changed while any thread listens, and put back after the last one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners = 0
        self._before: tuple[int | None, bool] = (None, True)

    @contextmanager
    def heard(self) -> Iterator[list[tuple[int, str, str]]]:
        with self._lock:
            if not self._listeners:
                self._before = av.logging.get_level(), av.logging.get_skip_repeated()
                av.logging.set_level(max(self._before[0] or 0, av.logging.ERROR))
                av.logging.set_skip_repeated(False)
            self._listeners += 1
        try:
            with av.logging.Capture() as lines:
                yield lines
        finally:
            with self._lock:
                self._listeners -= 1
                if not self._listeners:
                    av.logging.set_level(self._before[0])
                    av.logging.set_skip_repeated(self._before[1])


_ERROR_LINES = _ErrorLines()
