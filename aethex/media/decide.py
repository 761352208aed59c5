"""What has to be encoded so that browsers can play a video, and why.

What belongs here: the pure decision from a `Probe`. What does not: doing it (`transcode.py`,
`pack.py`). Only what needs it is encoded: the picture, the sound, both or (usually) neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from aethex.media.errors import NoVideo
from aethex.media.probe import AudioStream, Probe, VideoStream

# Beyond this a player could hardly seek, as segments begin at IDR frames only.
LONGEST_GOP_SECONDS = 60
_PLAYABLE_PIXEL_FORMATS = ("yuv420p", "yuvj420p")
_NAMES = {
    "h264": "H.264",
    "hevc": "HEVC",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg2video": "MPEG-2",
}
UNDECODABLE = "it cannot be decoded"


@dataclass(frozen=True, slots=True)
class Plan:
    """`why` and `notes` as in `PackagedVod`; `audio` is the chosen track, None for silence."""

    encode_video: bool
    audio: AudioStream | None
    encode_audio: bool
    why: tuple[str, ...]
    notes: tuple[str, ...]


def plan(probe: Probe, subject: str) -> Plan:
    """What to do with a file. Raises NoVideo when there is no picture to package."""
    video = probe.video
    if video is None or video.frames == 0:
        what = (
            "only sound"
            if any(track.packets for track in probe.audio)
            else "nothing that can be shown"
        )
        raise NoVideo(
            f"{subject}: no picture in it can be decoded ({what}); import a file that holds a "
            "video track."
        )
    faults = video_faults(video)
    audio, notes = choose_audio(probe.audio)
    notes = [*_video_notes(video), *notes]
    why = [f"The picture was encoded as H.264: {'; '.join(faults)}."] if faults else []
    encode_audio = audio is not None and audio.fault is not None
    if audio is not None and audio.fault is not None:
        why.append(f"The sound was encoded as AAC: {audio.fault}.")
    if audio is not None and audio.ends_before_ms < -500:
        over = -audio.ends_before_ms / 1000
        notes.append(
            f"The sound goes on for {over:.1f} s after the last picture; that part was left out."
        )
    return Plan(bool(faults), audio, encode_audio, tuple(why), tuple(notes))


def video_faults(video: VideoStream) -> list[str]:
    """Why the picture's packets cannot be copied, in words; empty when they can."""
    faults: list[str] = []
    if video.codec != "h264":
        faults.append(f"browsers do not all play {_NAMES.get(video.codec, video.codec)}")
    elif video.pixel_format not in _PLAYABLE_PIXEL_FORMATS:
        faults.append(f"browsers do not play its pixel format ({video.pixel_format})")
    elif video.codec_string is None:
        faults.append("its header is broken")
    if video.rotation_degrees or video.is_mirrored:
        how = f"turned by {video.rotation_degrees}°" if video.rotation_degrees else "mirrored"
        faults.append(f"it has to be {how} to be shown upright")
    if video.is_interlaced:
        faults.append("it is interlaced")
    if video.hidden_frames:
        faults.append(f"its edit list hides {video.hidden_frames} frames")
    if video.timestamp_fault:
        faults.append(video.timestamp_fault)
    if video.start_fault:
        faults.append(video.start_fault)
    if video.has_changing_parameters:
        faults.append("its format changes midway")
    if not faults and video.longest_gop_ms > LONGEST_GOP_SECONDS * 1000:
        faults.append(f"its keyframes are up to {video.longest_gop_ms / 1000:.0f} s apart")
    return faults


def choose_audio(tracks: tuple[AudioStream, ...]) -> tuple[AudioStream | None, list[str]]:
    """The default track, else the first; a track that cannot be decoded only if there is no other,
    and then it is left out.
    """
    usable = [track for track in tracks if track.fault != UNDECODABLE]
    if not usable:
        if tracks:
            return None, [f"The sound ({tracks[0].codec}) cannot be decoded; the video is silent."]
        return None, []
    chosen = next((track for track in usable if track.is_default), usable[0])
    if len(tracks) == 1:
        return chosen, []
    kind = "the default one" if chosen.is_default else "the first one"
    position = tracks.index(chosen) + 1
    return chosen, [f"It has {len(tracks)} sound tracks; number {position}, {kind}, was taken."]


def _video_notes(video: VideoStream) -> list[str]:
    notes: list[str] = []
    if video.leading_frames:
        notes.append(
            f"The first {video.leading_frames} frames ({video.leading_ms / 1000:.1f} s) come "
            "before the first keyframe; no decoder can show them, so they were left out."
        )
    if video.repaired_timestamps and not video.timestamp_fault:
        count = video.repaired_timestamps
        notes.append(f"{count} frames carried no time; it was found from their neighbours.")
    return notes
