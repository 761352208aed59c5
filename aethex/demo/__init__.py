"""Demo content that the project makes itself: channels, streams with viewers and chat, videos.

What belongs here: what the first start shows. What does not: how it is brought in; it goes through
`aethex.imports` as anybody's data does.
"""
