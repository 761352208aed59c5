"""Bringing in one's own data: viewer snapshots, segments, videos. What `aethex import` and the demo
call.

What belongs here: putting the rooms together (a file is read by lake or media, ids come from the
library, bytes go to the store) so that an import is there whole or not at all, and twice is once.
What does not: reading formats (lake, media), making VODs (workers), arguments and tables on the
terminal (aethex/commands).
"""

from aethex.imports.segments import SegmentsReport, import_segments
from aethex.imports.viewers import ViewersReport, import_viewers
from aethex.workers.video import VideoReport, import_video

__all__ = [
    "SegmentsReport",
    "VideoReport",
    "ViewersReport",
    "import_segments",
    "import_video",
    "import_viewers",
]
