"""The library's tables, one module a concern.

What belongs here: columns, constraints and the indexes that the queries of the other modules need.
What does not: queries. There are no `relationship()`s: each query says what it loads, and an object
stays usable after its session has ended.

A row that holds keys of stored objects is never deleted by a cascade from above it (channel,
stream): the objects have to go first.
"""

from aethex.library.models.accounts import Attempt, AuditEntry, Credential, Identity, UserSession
from aethex.library.models.base import PROVIDER_PATTERN, USERNAME_PATTERN, Base
from aethex.library.models.captions import CaptionsKind, CaptionsSource, VodCaptions
from aethex.library.models.capture import Capture, CaptureBreak, GapCause
from aethex.library.models.content import (
    Category,
    Channel,
    Stream,
    StreamSegment,
    StreamStatus,
    Vod,
    VodDeleteReason,
    VodRun,
    VodSegment,
    VodStatus,
)
from aethex.library.models.intake import ChannelInput, OutboxEvent, ServerToken
from aethex.library.models.live import (
    InputSignal,
    ProviderRecording,
    RecordingState,
    SignalKind,
    WebhookEvent,
    WebhookState,
)
from aethex.library.models.people import Follow, Forgetting, Like, Role, User
from aethex.library.models.recording import RecordingSettings
from aethex.library.models.watching import WatchProgress
from aethex.library.models.work import KIND_PATTERN, Job, JobState, Worker, job_fences

__all__ = [
    "KIND_PATTERN",
    "PROVIDER_PATTERN",
    "USERNAME_PATTERN",
    "Attempt",
    "AuditEntry",
    "Base",
    "CaptionsKind",
    "CaptionsSource",
    "Capture",
    "CaptureBreak",
    "Category",
    "Channel",
    "ChannelInput",
    "Credential",
    "Follow",
    "Forgetting",
    "GapCause",
    "Identity",
    "InputSignal",
    "Job",
    "JobState",
    "Like",
    "OutboxEvent",
    "ProviderRecording",
    "RecordingSettings",
    "RecordingState",
    "Role",
    "ServerToken",
    "SignalKind",
    "Stream",
    "StreamSegment",
    "StreamStatus",
    "User",
    "UserSession",
    "Vod",
    "VodCaptions",
    "VodDeleteReason",
    "VodRun",
    "VodSegment",
    "VodStatus",
    "WatchProgress",
    "WebhookEvent",
    "WebhookState",
    "Worker",
    "job_fences",
]
