"""Why the platform cannot start or stopped. Every message is one line that says which part and what
to do.
"""

from __future__ import annotations


class SuperviseError(Exception):
    """Base of this package's errors."""


class CannotStart(SuperviseError):
    """Something is in the way before anything was started: a port, the disk, a setting."""


class PartFailed(SuperviseError):
    """A part did not come up, or the supervisor ended."""


class NotRunning(SuperviseError):
    """Nothing runs on this data folder."""
