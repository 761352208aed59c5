-- Samples split at the borders of minutes: what was counted in each, and for how long each count held in it.
WITH samples AS (
    SELECT stream_day, stream_id, channel_id, sampled_at, viewers, messages, hold_until
    FROM stream_samples
    WHERE stream_day = CAST($stream_day AS DATE)
),
pieces AS (
    -- A hold of 150 s at most touches four minutes at most.
    SELECT
        s.stream_day,
        s.stream_id,
        s.channel_id,
        date_trunc('minute', s.sampled_at) + o.step * INTERVAL '1' MINUTE AS minute_at,
        s.viewers,
        epoch_us(s.sampled_at) AS from_us,
        epoch_us(s.hold_until) AS to_us
    FROM samples AS s
    CROSS JOIN (VALUES (0), (1), (2), (3)) AS o(step)
    WHERE s.viewers IS NOT NULL
),
held AS (
    SELECT
        stream_day,
        stream_id,
        channel_id,
        minute_at,
        viewers,
        least(to_us, epoch_us(minute_at) + 60000000) - greatest(from_us, epoch_us(minute_at)) AS held_us
    FROM pieces
),
measures AS (
    SELECT
        stream_day,
        stream_id,
        channel_id,
        minute_at,
        CAST(NULL AS BIGINT) AS peak_viewers,
        CAST(NULL AS BIGINT) AS messages,
        0 AS samples,
        0 AS null_samples,
        held_us,
        CAST(viewers AS DECIMAL(19, 0)) * CAST(held_us AS DECIMAL(19, 0)) AS viewer_us
    FROM held
    WHERE held_us > 0
    UNION ALL
    SELECT
        stream_day,
        stream_id,
        channel_id,
        date_trunc('minute', sampled_at) AS minute_at,
        viewers AS peak_viewers,
        messages,
        1 AS samples,
        CASE WHEN viewers IS NULL THEN 1 ELSE 0 END AS null_samples,
        CAST(0 AS BIGINT) AS held_us,
        CAST(0 AS DECIMAL(38, 0)) AS viewer_us
    FROM samples
)
SELECT
    stream_day,
    stream_id,
    channel_id,
    minute_at,
    max(peak_viewers) AS peak_viewers,
    CAST(sum(viewer_us) AS DOUBLE) / nullif(CAST(sum(held_us) AS DOUBLE), 0) AS average_viewers,
    CAST(sum(viewer_us) AS DOUBLE) / 1000000 AS viewer_seconds,
    CAST(sum(held_us) AS DOUBLE) / 1000000 AS covered_seconds,
    CAST(sum(messages) AS BIGINT) AS messages,
    CAST(sum(samples) AS BIGINT) AS samples,
    CAST(sum(null_samples) AS BIGINT) AS null_samples
FROM measures
GROUP BY stream_day, stream_id, channel_id, minute_at
