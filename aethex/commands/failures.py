"""What a failure says: one line.

What belongs here: turning any exception into one line. What does not: deciding when to stop.
"""

from __future__ import annotations

from pydantic import ValidationError
from rich.markup import escape


def one_line(error: BaseException) -> str:
    """The error as one line of rich markup.

    The platform's own errors already say what is wrong and the remedy. A wrong setting is named
    with its environment variable. Anything else is a defect: it is named, with how to see more.
    """
    if isinstance(error, ValidationError) and error.title == "Settings":
        return escape("; ".join(_wrong_setting(detail) for detail in error.errors()))
    if type(error).__module__.startswith("aethex."):
        return escape(" ".join(str(error).split()))
    if isinstance(error, OSError) and error.filename is not None:
        return escape(f"{error.filename}: {error.strerror or type(error).__name__}")
    text = " ".join(str(error).split())
    return escape(
        f"unexpected {type(error).__name__}: {text} (--debug before the command shows where)"
    )


def _wrong_setting(detail: object) -> str:
    """`AETHEX_SERVICE_PORT: Input should be a valid integer (is 'abc')`."""
    assert isinstance(detail, dict)
    name = "_".join(str(part) for part in detail["loc"]).upper()
    name = name if name.startswith("AETHEX_") else f"AETHEX_{name}"
    return f"{name}: {detail['msg']} (is {detail['input']!r})"
