"""Video: what is accepted and played, how streams are recorded, where it may be fetched from.

What belongs here: media, the recorder, and addresses that lead outside. What does not: providers'
own settings (`providers.py`).
"""

from __future__ import annotations

from pydantic import Field, SecretStr

from aethex.settings.group import SettingsGroup
from aethex.settings.values import Listed


class VideoSettings(SettingsGroup):
    """Media, the recorder, and fetching from outside."""

    media_secret: SecretStr | None = Field(
        default=None,
        description="Key that signs media addresses. Empty: generated once and kept in the data "
        "folder.",
    )
    media_max_bytes: int = Field(
        default=64 * 1024**3, gt=0, description="Largest video that is accepted, in bytes."
    )
    media_memory_bytes: int = Field(
        default=4 * 1024**3,
        gt=0,
        description="Memory limit, in bytes, of each child process that opens outside media.",
    )
    media_timeout_seconds: float = Field(
        default=6 * 3600,
        gt=0,
        description="Time limit of each child process that opens outside media, in seconds.",
    )

    rtmp_port: int = Field(
        default=1935, ge=0, le=65535, description="Port on which the recorder takes RTMP. 0: none."
    )
    srt_inputs: SecretStr | None = Field(
        default=None,
        description="Ports on which the recorder takes SRT, each with the stream key of the input "
        "whose it is, which is the connection's passphrase: 9001=key, separated by commas.",
    )
    recorder_disk_max_bytes: int = Field(
        default=20 * 1024**3,
        gt=0,
        description="Local disk, in bytes, for segments that wait while the store is away. Beyond "
        "it new segments are dropped, and the gap is recorded.",
    )
    recording_enabled: bool = Field(
        default=True,
        description="Whether streams are recorded, unless their channel's settings say otherwise. "
        "So are the next four.",
    )
    recording_min_seconds: int = Field(
        default=60,
        ge=0,
        description="A shorter recording is a test: it is not shown, and deleted a day later.",
    )
    recording_delete_after_days: int = Field(
        default=365,
        ge=0,
        description="How long VODs stay after their stream, in days; then they are hidden, and "
        "deleted 30 days later. 0: for ever.",
    )
    recording_user_delete: bool = Field(
        default=True, description="Whether creators may delete their VODs."
    )
    recording_formats: Listed = Field(
        default=("hls", "mp4"),
        description="What a VOD is kept as: hls for watching (always), mp4 for download.",
    )

    fetch_allow: Listed = Field(
        default=(),
        description="Hosts and networks of your own that addresses from outside may lead to, such "
        "as media.internal or 10.0.5.0/24, separated by commas. Empty: public addresses only.",
    )
