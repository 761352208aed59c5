"""The recorder: live streams become VODs while they run (`aethex recorder`).

What belongs here: taking a stream in, its segments on the local disk, their way into the store and
the library, and the end of a VOD. What does not: protocols and containers (aethex/media), tables
(aethex/library), the life of streams (`aethex.library.live`).

    listener or pull ─ bytes ─► capture ─ closed segments ─► spool ─► archive ─► store, library
                                                stream ended ─► finish ─► VOD ready
"""
