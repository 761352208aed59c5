"""What people and programs reach over HTTP: the API, the media, and the pages that viewers see.

What belongs here: routes, their schemas, templates, and what a request needs (addresses, tokens,
ranges, caches of answers). What does not: database queries (they live in `aethex.library`),
questions to the marts (`aethex.lake.analytics`), and anything that opens a video (`aethex.media`).
"""
