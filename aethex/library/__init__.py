"""The library of records: what exists. Users, channels, follows, categories, streams, VODs.

What belongs here: typed models, their migrations, and every query, in one module a noun. What does
not: what happened (events, counts over time: the lake), bytes of media (the store), and HTTP.
"""

from aethex.library.captions import NewCaptions
from aethex.library.database import Library
from aethex.library.errors import InvalidValue, LibraryError, NotInLibrary, SchemaMismatch
from aethex.library.ids import new_id
from aethex.library.migrations import upgrade
from aethex.library.models import (
    AuditEntry,
    Capture,
    CaptureBreak,
    Category,
    Channel,
    ChannelInput,
    Follow,
    Forgetting,
    GapCause,
    Identity,
    InputSignal,
    Job,
    JobState,
    Like,
    OutboxEvent,
    ProviderRecording,
    Role,
    ServerToken,
    SignalKind,
    Stream,
    StreamSegment,
    StreamStatus,
    User,
    UserSession,
    Vod,
    VodCaptions,
    VodRun,
    VodSegment,
    VodStatus,
    WatchProgress,
    WebhookEvent,
    Worker,
)
from aethex.library.pages import Page
from aethex.library.segments import NewSegment
from aethex.library.snapshot import snapshot_rows
from aethex.library.vods import NewRun, NewVod, NewVodSegment

__all__ = [
    "AuditEntry",
    "Capture",
    "CaptureBreak",
    "Category",
    "Channel",
    "ChannelInput",
    "Follow",
    "Forgetting",
    "GapCause",
    "Identity",
    "InputSignal",
    "InvalidValue",
    "Job",
    "JobState",
    "Library",
    "LibraryError",
    "Like",
    "NewCaptions",
    "NewRun",
    "NewSegment",
    "NewVod",
    "NewVodSegment",
    "NotInLibrary",
    "OutboxEvent",
    "Page",
    "ProviderRecording",
    "Role",
    "SchemaMismatch",
    "ServerToken",
    "SignalKind",
    "Stream",
    "StreamSegment",
    "StreamStatus",
    "User",
    "UserSession",
    "Vod",
    "VodCaptions",
    "VodRun",
    "VodSegment",
    "VodStatus",
    "WatchProgress",
    "WebhookEvent",
    "Worker",
    "new_id",
    "snapshot_rows",
    "upgrade",
]
