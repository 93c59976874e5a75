"""Folders of extracted frames, such as ``CLASS/NAME/img_00001.jpg``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.video.decode_reader import VideoInfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_NUMBERED = re.compile(r"(.*?)(\d+)$", re.DOTALL)


class FolderReader:
    """Frames in the order of the numbers that end their names, whatever the zero padding.

    Where flow images (``flow_x_00001.jpg``) lie beside the frames, the frames are those named
    ``img_``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = _numbered_images(path)
        self._sound: set[int] = set()
        self._size: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._files))

    def rgb(self, frame: int) -> np.ndarray:
        """(H, W, C) uint8; all frames must have one size."""
        file = self._files[frame]
        try:
            with Image.open(file) as image:
                self._size = self._size or image.size
                if image.size != self._size:
                    raise DecodeError(f"{file}: {image.size} pixels, other frames {self._size}")
                pixels = image.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise DecodeError(f"{file}: {error}") from error
        self._sound.add(frame)
        return np.asarray(pixels)

    def num_bytes(self, frame: int) -> int:
        """Nothing is held before ``rgb`` reads the file."""
        return 0

    def info(self) -> VideoInfo:
        """The verdict on all images; reads those that have not been read yet."""
        failures = []
        for frame in set(self._files) - self._sound:
            try:
                self.rgb(frame)
            except DecodeError as error:
                failures.append(str(error))
        if self._size is None:
            raise DecodeError(f"{self._path}: no image can be read; {failures[0]}")
        numbers = sorted(self._files)
        if missing := numbers[-1] - numbers[0] + 1 - len(numbers):
            failures.append(f"{missing} numbers missing from {numbers[0]} to {numbers[-1]}")
        return VideoInfo(
            num_frames=len(numbers),
            width=self._size[0],
            height=self._size[1],
            codec=self._files[numbers[0]].suffix.lower().lstrip("."),
            damage="; ".join(failures[:3]),
        )


def _numbered_images(path: Path) -> dict[int, Path]:
    """From frame number to file, of the one series of images in the folder."""
    series: dict[str, dict[int, Path]] = {}
    for file in path.iterdir():
        numbered = _NUMBERED.fullmatch(file.stem)
        if numbered and file.suffix.lower() in _SUFFIXES:
            prefix, number = numbered[1], int(numbered[2])
            if number in series.setdefault(prefix, {}):
                raise DecodeError(f"{path}: frame {number} is there twice; keep one of the files")
            series[prefix][number] = file
    if not series:
        raise DecodeError(f"{path}: holds no numbered images such as img_00001.jpg")
    if len(series) > 1 and "img_" not in series:
        raise DecodeError(f"{path}: several series of images, none named img_: {sorted(series)}")
    return series["img_"] if "img_" in series else next(iter(series.values()))
