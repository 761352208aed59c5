"""AeThex Creator Tools: everything around a live stream that is not the stream itself."""
