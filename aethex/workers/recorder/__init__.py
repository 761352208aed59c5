"""Recording live streams: who publishes, and what becomes of the bytes."""
