"""Clips made on the fly whose every frame carries its own number, readable after lossy coding."""

from fractions import Fraction

import av
import numpy as np

BITS = 8
CELL = 16


def numbered_frame(number, height=48, width=128):
    """(H, W, C) uint8: the bits of the number as black and white cells in the upper row.

    Below them a coloured gradient, so that mirrored, turned or wrongly coloured frames show.
    """
    rows, columns = np.mgrid[:height, :width]
    frame = np.stack([rows * 4, columns * 2, 255 - columns * 2], -1).clip(0, 255).astype(np.uint8)
    for bit in range(BITS):
        frame[:CELL, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 20
    return frame


def numbers_of(frames):
    """The numbers that decoded frames carry."""
    cells = frames[:, 4 : CELL - 4, : BITS * CELL].mean((1, 3)).reshape(len(frames), BITS, CELL)
    bits = cells[..., 4:-4].mean(-1) > 128
    return (bits << np.arange(BITS)).sum(-1).tolist()


def write_clip(path, codec="libx264", *, frames=40, times=None, options=None, rotation=0, size=()):
    """A clip of 25 frames a second, or with frames at the given ticks of 1/25 s."""
    faststart = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=faststart) as container:
        stream = add_stream(container, codec, options, size)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, tick in enumerate(times or range(frames)):
            encode_frame(container, stream, numbered_frame(number, *size), tick)
        container.mux(stream.encode())
    return path


def add_stream(container, codec, options=None, size=()):
    stream = container.add_stream(codec, rate=25, options=dict(options or {}))
    stream.height, stream.width = numbered_frame(0, *size).shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, 25)
    return stream


def encode_frame(container, stream, pixels, tick):
    frame = av.VideoFrame.from_ndarray(pixels)
    frame.pts, frame.time_base = tick, Fraction(1, 25)
    container.mux(stream.encode(frame))


def write_cut(source, path, *, first):
    """Copy packets without re-encoding so that ``first`` frames lie before the start, hidden."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        step = int(1 / (25 * stream.time_base))
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.pts -= first * step
                packet.dts -= first * step
                packet.stream = copy
                new.mux(packet)
    return path
