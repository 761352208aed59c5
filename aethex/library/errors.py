"""What the library refuses. Every message is one line that names the input and the remedy."""

from __future__ import annotations


class LibraryError(Exception):
    """Base of the library's errors."""


class InvalidValue(LibraryError, ValueError):
    """A value that cannot be stored, such as a username with a space."""


class NotInLibrary(LibraryError, LookupError):
    """An id or name that no row has."""


class SchemaMismatch(LibraryError):
    """The database's tables are of another version than this program."""
