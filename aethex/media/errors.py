"""What can go wrong with a video: one error a kind, each a single line that a person can act on.

What belongs here: the errors of this room. What does not: deciding when they are raised.
"""

from __future__ import annotations

DISK_FULL = (
    "no room on the disk for the package; free some space (about three times the file's size while "
    "it is packaged) and import it again."
)
OUT_OF_MEMORY = (
    "opening it needs more memory than a child process is given; if the file is sound, raise "
    "AETHEX_MEDIA_MEMORY_BYTES."
)


class MediaError(Exception):
    """Something about a video. The message is one line: the file, what is wrong, the remedy."""


class UnreadableMedia(MediaError):
    """The file is no video in a container that is accepted, or it is damaged beyond reading."""


class UnplayableCodec(MediaError):
    """A live stream in a codec that browsers do not play; nothing converts it while it runs."""


class NoVideo(MediaError):
    """The file was read, but there is no picture in it that can be decoded."""


class BadPlaylist(MediaError):
    """The HLS playlist cannot be imported: broken, remote, encrypted, or it points outside its
    folder.
    """


class BadCaptions(MediaError):
    """Captions that cannot be read; the message names the line, and what to do."""


class MediaTooLarge(MediaError):
    """The file, or what it would become, is larger than `AETHEX_MEDIA_MAX_BYTES`."""


class MediaLimitExceeded(MediaError):
    """Opening the file needed more memory or time than one child process is given."""


class MediaDiskFull(MediaError):
    """The disk (or the quota) has no room for the package."""


class FfmpegMissing(MediaError):
    """No usable ffmpeg on this machine."""


class MediaToolFailed(MediaError):
    """A child process failed in a way that says nothing about the file; its last words are told."""
