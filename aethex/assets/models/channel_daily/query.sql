-- One UTC day of each channel that was live on it: streams and holds that cross midnight are split there.
WITH streams AS (
    -- A stream belongs to the day when it was live in it, or started in it.
    SELECT
        channel_id,
        stream_id,
        stream_day,
        greatest(
            epoch_us(started_at), epoch_us(CAST(CAST($day AS DATE) AS TIMESTAMP))
        ) AS from_us,
        least(
            epoch_us(ended_at), epoch_us(CAST(CAST($day AS DATE) AS TIMESTAMP) + INTERVAL '1' DAY)
        ) AS to_us,
        ended_at IS NULL AS is_unmeasured
    FROM stream_analytics
    WHERE started_at < CAST(CAST($day AS DATE) AS TIMESTAMP) + INTERVAL '1' DAY
      AND (stream_day = CAST($day AS DATE) OR ended_at > CAST(CAST($day AS DATE) AS TIMESTAMP))
),
reached AS (
    SELECT
        channel_id,
        from_us,
        to_us,
        max(to_us) OVER (
            PARTITION BY channel_id
            ORDER BY from_us, to_us, stream_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS before_us
    FROM streams
    WHERE NOT is_unmeasured
),
live AS (
    -- A moment in which several of the channel's streams are live counts once in live_us, each in stream_us.
    SELECT
        channel_id,
        sum(greatest(to_us - greatest(from_us, coalesce(before_us, from_us)), 0)) AS live_us,
        sum(greatest(to_us - from_us, 0)) AS stream_us
    FROM reached
    GROUP BY channel_id
),
counts AS (
    SELECT
        channel_id,
        count(*) AS streams,
        sum(CASE WHEN stream_day = CAST($day AS DATE) THEN 1 ELSE 0 END) AS streams_started
    FROM streams
    GROUP BY channel_id
),
touching AS (
    SELECT
        t.channel_id,
        s.stream_id,
        s.sampled_at,
        s.viewers,
        s.messages,
        CASE WHEN epoch_us(s.sampled_at) >= t.from_us THEN 1 ELSE 0 END AS is_inside,
        CASE WHEN s.viewers IS NOT NULL
            THEN least(epoch_us(s.hold_until), t.to_us) - greatest(epoch_us(s.sampled_at), t.from_us)
            ELSE 0
        END AS held_us
    FROM streams AS t
    JOIN stream_samples AS s ON s.stream_id = t.stream_id AND s.stream_day = t.stream_day
    WHERE epoch_us(s.sampled_at) < t.to_us
      AND (epoch_us(s.sampled_at) >= t.from_us OR epoch_us(s.hold_until) > t.from_us)
),
placed AS (
    SELECT
        channel_id,
        stream_id,
        sampled_at,
        viewers,
        messages,
        is_inside,
        held_us,
        row_number() OVER (
            PARTITION BY channel_id
            ORDER BY
                is_inside DESC,
                CASE WHEN viewers IS NULL THEN 1 ELSE 0 END,
                viewers DESC,
                sampled_at,
                stream_id
        ) AS place
    FROM touching
),
totals AS (
    SELECT
        channel_id,
        max(CASE WHEN is_inside = 1 THEN viewers END) AS peak_viewers,
        max(CASE WHEN place = 1 AND is_inside = 1 AND viewers IS NOT NULL THEN sampled_at END) AS peak_at,
        max(CASE WHEN place = 1 AND is_inside = 1 AND viewers IS NOT NULL THEN stream_id END)
            AS peak_stream_id,
        sum(CAST(viewers AS DECIMAL(19, 0)) * CAST(held_us AS DECIMAL(19, 0))) AS viewer_us,
        sum(held_us) AS covered_us,
        sum(CASE WHEN is_inside = 1 THEN messages END) AS messages,
        sum(is_inside) AS samples,
        sum(CASE WHEN is_inside = 1 AND viewers IS NULL THEN 1 ELSE 0 END) AS null_samples
    FROM placed
    GROUP BY channel_id
),
measured AS (
    SELECT
        c.channel_id,
        c.streams,
        c.streams_started,
        CAST(l.live_us AS DOUBLE) AS live_us,
        CAST(l.stream_us AS DOUBLE) AS stream_us,
        t.peak_viewers,
        t.peak_at,
        t.peak_stream_id,
        coalesce(CAST(t.viewer_us AS DOUBLE), 0) AS viewer_us,
        coalesce(CAST(t.covered_us AS DOUBLE), 0) AS covered_us,
        coalesce(t.samples, 0) AS samples,
        coalesce(t.null_samples, 0) AS null_samples,
        t.messages
    FROM counts AS c
    LEFT JOIN live AS l ON l.channel_id = c.channel_id
    LEFT JOIN totals AS t ON t.channel_id = c.channel_id
)
SELECT
    CAST($day AS DATE) AS day,
    channel_id,
    CAST(streams AS BIGINT) AS streams,
    CAST(streams_started AS BIGINT) AS streams_started,
    live_us / 1000000 AS live_seconds,
    stream_us / 1000000 AS stream_seconds,
    peak_viewers,
    peak_at,
    peak_stream_id,
    viewer_us / nullif(covered_us, 0) AS average_viewers,
    viewer_us / 1000000 AS viewer_seconds,
    covered_us / 1000000 AS covered_seconds,
    covered_us / nullif(stream_us, 0) AS coverage_ratio,
    CAST(samples AS BIGINT) AS samples,
    CAST(null_samples AS BIGINT) AS null_samples,
    CAST(messages AS BIGINT) AS messages
FROM measured
