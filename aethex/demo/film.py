"""A scene and its music as an MP4 file: H.264 and AAC, as a recorder would hand it in.

What belongs here: the title, encoding, the child process that renders one film. What does not: what
is shown (`scenes`), what is heard (`music`), which films there are (`content`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.container
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from aethex.demo.music import SAMPLE_RATE, STYLES, compose
from aethex.demo.scenes import SCENES
from aethex.demo.scenes.canvas import FRAMES_PER_SECOND, HEIGHT, WIDTH, Bytes, Floats, Overlay

_TITLE_FROM, _TITLE_TO = 0.8, 6.0  # seconds
_SOUND_BLOCK = 1024
_PROGRESS_EVERY = 15  # frames


def render(
    scene: str,
    seconds: float,
    title: str,
    subtitle: str,
    path: Path,
    on_frame: Callable[[int, int], None],
) -> None:
    """Write the film of `scene` (a key of SCENES) to `path`; the same arguments give the same
    pictures.

    1280x720 at 30 frames a second, an IDR every 2 s, one thread. `on_frame` gets frames done and in
    all.
    """
    rng = np.random.default_rng(sum(scene.encode()))
    sound = compose(STYLES[scene], seconds, rng)
    picture = SCENES[scene](rng)
    card = _title_card(title, subtitle)
    frames = round(seconds * FRAMES_PER_SECOND)
    canvas = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video, audio = _add_video(container), container.add_stream("aac", rate=SAMPLE_RATE)
        audio.codec_context.layout = "stereo"
        audio.codec_context.bit_rate = 128_000
        sent = 0
        for index in range(frames):
            at = index / FRAMES_PER_SECOND
            picture.draw(canvas, at)
            _show_title(canvas, card, at)
            _fade(canvas, at, seconds)
            container.mux(video.encode(_video_frame(canvas, index)))
            upto = round((index + 1) / FRAMES_PER_SECOND * SAMPLE_RATE)
            sent = _encode_sound(container, audio, sound, sent, upto, is_last=index + 1 == frames)
            if (index + 1) % _PROGRESS_EVERY == 0 or index + 1 == frames:
                on_frame(index + 1, frames)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _add_video(container: av.container.OutputContainer) -> av.VideoStream:
    options = {
        "preset": "superfast",
        "crf": "25",
        "x264-params": "keyint=60:min-keyint=60:scenecut=0:open-gop=0",
        "threads": "1",
    }
    stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    stream.codec_context.time_base = Fraction(1, FRAMES_PER_SECOND)
    stream.codec_context.colorspace = 1  # BT.709
    stream.codec_context.color_primaries = 1
    stream.codec_context.color_trc = 1
    stream.codec_context.color_range = 1  # limited
    return stream


def _video_frame(canvas: Bytes, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    frame.pts = index
    frame.time_base = Fraction(1, FRAMES_PER_SECOND)
    return frame


def _encode_sound(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    sound: Floats,
    sent: int,
    upto: int,
    *,
    is_last: bool,
) -> int:
    """Encode the sound that belongs before sample `upto`; returns how many samples are out."""
    while sent + _SOUND_BLOCK <= upto or (is_last and sent < sound.shape[1]):
        block = np.ascontiguousarray(sound[:, sent : sent + _SOUND_BLOCK])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, sent, Fraction(1, SAMPLE_RATE)
        container.mux(stream.encode(frame))
        sent += block.shape[1]
    return sent


def _title_card(title: str, subtitle: str) -> Overlay:
    """The film's name in the lower left, with a soft shadow."""
    size = (760, 132)
    ink, shadow = Image.new("L", size, 0), Image.new("L", size, 0)
    for image in (ink, shadow):
        draw = ImageDraw.Draw(image)
        draw.text((24, 14), title, fill=255, font=ImageFont.load_default(46))
        draw.text((26, 78), subtitle, fill=225, font=ImageFont.load_default(24))
    dark = np.asarray(shadow.filter(ImageFilter.GaussianBlur(7)), dtype=np.float32) / 255
    bright = np.asarray(ink, dtype=np.float32) / 255
    coverage = np.clip(np.maximum(bright, np.clip(dark * 1.6, 0, 0.8)), 0, 1)
    picture = np.repeat((255 * bright / np.maximum(coverage, 1e-6))[..., None], 3, axis=2)
    return Overlay(np.clip(picture, 0, 255).astype(np.float32), coverage)


def _show_title(canvas: Bytes, card: Overlay, at: float) -> None:
    if not _TITLE_FROM < at < _TITLE_TO:
        return
    amount = float(np.clip(min(at - _TITLE_FROM, _TITLE_TO - at) / 0.6, 0, 1))
    place = slice(HEIGHT - 190, HEIGHT - 190 + card.height), slice(40, 40 + card.width)
    before = canvas[place].copy() if amount < 1 else None
    card.lay(canvas, 40, HEIGHT - 190)
    if before is not None:
        canvas[place] = (canvas[place] * amount + before * (1 - amount)).astype(np.uint8)


def _fade(canvas: Bytes, at: float, seconds: float) -> None:
    """From black at the start, to black at the end."""
    amount = min(at / 0.7, (seconds - at) / 1.0)
    if amount < 1:
        canvas[...] = (canvas * max(0.0, amount)).astype(np.uint8)


def main() -> None:
    """The child process: a film described by JSON in the first argument; a line `done total` each
    half second.

    It ends when nobody reads its progress any more, so that it never outlives the command that
    wanted it.
    """
    film = json.loads(sys.argv[1])

    def report(done: int, total: int) -> None:
        sys.stdout.write(f"{done} {total}\n")
        sys.stdout.flush()

    render(
        film["scene"], film["seconds"], film["title"], film["subtitle"], Path(film["path"]), report
    )


if __name__ == "__main__":
    main()
