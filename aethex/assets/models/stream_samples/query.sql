-- One row for every instant at which a stream was sampled, and how long its viewer count holds from there.
WITH streams AS (
    SELECT stream_id, channel_id, stream_day, started_at, ended_at
    FROM dim_streams
    WHERE valid_to IS NULL AND stream_day = CAST($stream_day AS DATE)
),
counted AS (
    -- Where several sources sampled one instant, the first by name that has a number is taken, for viewers
    -- and for messages each: a failed poll of one does not hide the other's count.
    SELECT
        s.stream_day,
        s.stream_id,
        s.channel_id,
        s.ended_at,
        e.occurred_at AS sampled_at,
        e.viewers,
        e.messages,
        e.source,
        row_number() OVER (
            PARTITION BY s.stream_id, e.occurred_at
            ORDER BY CASE WHEN e.viewers IS NULL THEN 1 ELSE 0 END, e.source, e.event_id
        ) AS viewers_place,
        row_number() OVER (
            PARTITION BY s.stream_id, e.occurred_at
            ORDER BY CASE WHEN e.messages IS NULL THEN 1 ELSE 0 END, e.source, e.event_id
        ) AS messages_place
    FROM viewer_snapshots AS e
    JOIN streams AS s ON s.stream_id = e.stream_id
    WHERE e.occurred_at >= s.started_at AND (s.ended_at IS NULL OR e.occurred_at < s.ended_at)
),
instants AS (
    SELECT
        stream_day,
        stream_id,
        channel_id,
        ended_at,
        sampled_at,
        max(CASE WHEN viewers_place = 1 THEN viewers END) AS viewers,
        max(CASE WHEN messages_place = 1 THEN messages END) AS messages,
        max(CASE WHEN viewers_place = 1 THEN source END) AS source
    FROM counted
    GROUP BY stream_day, stream_id, channel_id, ended_at, sampled_at
),
ends AS (
    -- A stream without an end yet is taken to last one minute beyond its newest sample, but not into the
    -- next day, so that a day changes only when a sample of it does. stream_analytics says the same.
    SELECT
        stream_id,
        coalesce(
            max(ended_at),
            least(
                max(sampled_at) + INTERVAL '60' SECOND,
                date_trunc('day', max(sampled_at)) + INTERVAL '1' DAY
            )
        ) AS ended_at
    FROM instants
    GROUP BY stream_id
),
holds AS (
    -- least() passes over a NULL: the last sample has no next one.
    SELECT
        i.stream_day,
        i.stream_id,
        i.channel_id,
        i.sampled_at,
        i.viewers,
        i.messages,
        i.source,
        CASE WHEN i.viewers IS NOT NULL THEN least(
            lead(i.sampled_at) OVER (
                PARTITION BY i.stream_id, CASE WHEN i.viewers IS NULL THEN 1 ELSE 0 END
                ORDER BY i.sampled_at
            ),
            i.sampled_at + INTERVAL '150' SECOND,
            b.ended_at
        ) END AS hold_until
    FROM instants AS i
    JOIN ends AS b ON b.stream_id = i.stream_id
)
SELECT
    stream_day,
    stream_id,
    channel_id,
    sampled_at,
    viewers,
    messages,
    source,
    hold_until,
    CAST(coalesce(epoch_us(hold_until) - epoch_us(sampled_at), 0) AS DOUBLE) / 1000000 AS hold_seconds
FROM holds
