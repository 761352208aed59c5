"""Captions of a provider's recording: the WebVTT renditions of its HLS.

What belongs here: finding, fetching and reading them, each whole or not at all. What does not: the
recording itself (`copying`), and where captions go (`video_captions`).

A recording without its captions is worth having, so what cannot be read is left out and said. What
may come later is an error, which tries the job again, except in its last attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

from aethex.fetch import FetchError, FetchFailed
from aethex.media.captions import captions_label
from aethex.media.errors import BadCaptions, BadPlaylist
from aethex.media.languages import UNKNOWN, canonical_language
from aethex.media.sources import MediaPlaylist, Part, SubtitleRendition
from aethex.media.webvtt import MAX_BYTES, MAX_CUES, MPEG_TICKS, Cue, parse_webvtt_part
from aethex.workers.copying import FILES_AT_ONCE, CopiedHls, Copier
from aethex.workers.video_captions import ProvidedCaptions

_MOST_PARTS = 20_000


def copy_captions(
    copier: Copier, copied: CopiedHls, *, is_last_attempt: bool
) -> tuple[list[ProvidedCaptions], list[str]]:
    """The captions that a recording's master playlist names; in sentences, what was left out.

    Raises FetchFailed for what may be there later, unless this is the last attempt.
    """
    found: list[ProvidedCaptions] = []
    notes: list[str] = []
    for rendition in copied.subtitles:
        label = captions_label(_language(rendition), rendition.name)
        try:
            found.append(_rendition(copier, urljoin(copied.url, rendition.uri), rendition, label))
        except (FetchError, BadPlaylist, BadCaptions) as error:
            if isinstance(error, FetchFailed) and error.can_retry and not is_last_attempt:
                raise
            notes.append(f"The captions in {label} were left out. {error}")
    return found, notes


def _language(rendition: SubtitleRendition) -> str:
    return canonical_language(rendition.language or "") or UNKNOWN


def _rendition(
    copier: Copier, url: str, rendition: SubtitleRendition, label: str
) -> ProvidedCaptions:
    url, playlist = copier.playlist(url)
    if not isinstance(playlist, MediaPlaylist) or len(playlist.parts) > _MOST_PARTS:
        raise BadPlaylist(f"{copier.subject}: this is no playlist of captions.")
    cues, is_mapped = _read(playlist.parts, _fetched(copier, url, playlist.parts))
    return ProvidedCaptions(
        language=_language(rendition),
        label=label,
        is_for_deaf=rendition.is_for_deaf,
        cues=cues,
        is_on_media_clock=is_mapped,
    )


def _fetched(copier: Copier, url: str, parts: Sequence[Part]) -> dict[str, bytes]:
    """The files that the parts are of."""

    def get(uri: str) -> bytes:
        address = urljoin(url, uri)
        return copier.retried(lambda: copier.fetch.get(address, max_bytes=MAX_BYTES)).body

    uris = list(dict.fromkeys(part.uri for part in parts))
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        try:
            return dict(zip(uris, pool.map(get, uris), strict=True))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _read(parts: Sequence[Part], files: dict[str, bytes]) -> tuple[tuple[Cue, ...], bool]:
    """All cues, each once: one that lasts over a border is in both pieces. And whether the pieces
    say where on the media's clock they are; those that do not count from the first moment.
    """
    cues: dict[Cue, None] = {}
    mapped: set[bool] = set()
    for part in parts:
        end = None if part.length is None else part.offset + part.length
        piece = parse_webvtt_part(files[part.uri][part.offset : end])
        if not piece.cues:
            continue
        moved, at = 0, piece.timestamp_map
        mapped.add(at is not None)
        if at is not None:
            moved = round(at.mpeg_ticks * 1000 / MPEG_TICKS) - at.local_ms
        cues.update(
            (Cue(cue.start_ms + moved, cue.end_ms + moved, cue.text, cue.settings), None)
            for cue in piece.cues
        )
        if len(cues) > MAX_CUES:
            raise BadCaptions(f"They have more than {MAX_CUES:,} cues.")
    if len(mapped) > 1:
        raise BadCaptions("Some of their pieces say when they are shown, others do not.")
    return tuple(cues), True in mapped
