"""Long work outside of requests: recordings, archive copies, what is made from VODs, clean-up.

What belongs here: work on video and records that takes seconds to hours, and the leases that it is
claimed with. What does not: the lake (a worker has no data frames, so it starts fast), Dagster, and
HTTP servers for people.
"""
