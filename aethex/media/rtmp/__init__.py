"""RTMP as a publisher speaks it, turned into FLV: bytes in, events and bytes out, no sockets.

What belongs here: handshake, chunks, AMF0, the commands of publishing, FLV tags. What does not:
sockets, time-outs, who may publish (`aethex/workers/recorder`), what the video is (ffmpeg reads
the FLV).
"""

from aethex.media.rtmp.events import End, Event, Media, Publish
from aethex.media.rtmp.flv import FlvWriter
from aethex.media.rtmp.session import PublisherSession

__all__ = ["End", "Event", "FlvWriter", "Media", "Publish", "PublisherSession"]
