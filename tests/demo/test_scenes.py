"""The demo's pictures move, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from aethex.demo.content import CHANNELS
from aethex.demo.music import SAMPLE_RATE, STYLES, compose
from aethex.demo.scenes import SCENES
from aethex.demo.scenes.canvas import HEIGHT, WIDTH, Bytes

FILMS = [stream.film for channel in CHANNELS for stream in channel.streams if stream.film]


def frames(scene: str, *times: float) -> list[Bytes]:
    drawn = SCENES[scene](np.random.default_rng(1))
    canvas = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    pictures = []
    for at in times:
        drawn.draw(canvas, at)
        pictures.append(canvas.copy())
    return pictures


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_moves_is_colourful_and_can_be_drawn_again(scene: str) -> None:
    film = next(film for film in FILMS if film.scene == scene)
    first, next_frame, later, last = frames(scene, 3.0, 3.0 + 1 / 30, 9.2, film.seconds - 0.1)
    assert (first != next_frame).any(), "two frames in a row differ"
    changed = (first != later).any(axis=2).mean()
    assert changed > 0.1
    assert first.std() > 20, "it is no test bar and no plain colour"
    assert np.unique(first.reshape(-1, 3), axis=0).shape[0] > 50
    assert last.std() > 20
    assert (frames(scene, 3.0)[0] == first).all()


def test_every_scene_is_shown_and_has_music() -> None:
    assert {film.scene for film in FILMS} == set(SCENES) == set(STYLES)
    assert all(40 <= film.seconds <= 120 for film in FILMS)


@pytest.mark.parametrize("name", STYLES)
def test_music_is_audible_does_not_clip_and_fades(name: str) -> None:
    sound = compose(STYLES[name], 12.0, np.random.default_rng(2))
    assert sound.shape == (2, 12 * SAMPLE_RATE)
    assert np.isfinite(sound).all()
    assert 0.05 < float(np.sqrt((sound**2).mean())) < 0.4
    assert float(np.abs(sound).max()) <= 0.9 + 1e-3
    assert float(np.abs(sound[:, :100]).max()) < 0.01
    assert float(np.abs(sound[:, -100:]).max()) < 0.01
    # Music changes: the loudness of its seconds is not that of a plain tone.
    seconds = sound.mean(axis=0).reshape(12, -1).std(axis=1)[1:-1]
    assert seconds.std() / seconds.mean() > 0.02
