-- The audience inside each segment's [started_at, ended_at): counts that hold across its border are split there.
WITH segments AS (
    SELECT
        g.stream_id,
        g.segment_id,
        g.position,
        g.title,
        g.category_id,
        g.category_name,
        g.started_at,
        coalesce(g.ended_at, a.ended_at) AS ended_at,
        a.stream_day,
        a.channel_id,
        a.ended_at IS NOT NULL AS is_measured,
        epoch_us(greatest(g.started_at, a.started_at)) AS from_us,
        epoch_us(least(coalesce(g.ended_at, a.ended_at), a.ended_at)) AS to_us
    FROM dim_stream_segments AS g
    JOIN stream_analytics AS a ON a.stream_id = g.stream_id
    WHERE g.valid_to IS NULL AND a.stream_day = CAST($stream_day AS DATE)
),
samples AS (
    SELECT
        stream_id,
        sampled_at,
        viewers,
        messages,
        epoch_us(sampled_at) AS sampled_us,
        epoch_us(hold_until) AS hold_us
    FROM stream_samples
    WHERE stream_day = CAST($stream_day AS DATE)
),
touching AS (
    SELECT
        g.segment_id,
        s.sampled_at,
        s.viewers,
        s.messages,
        CASE WHEN s.sampled_us >= g.from_us THEN 1 ELSE 0 END AS is_inside,
        CASE WHEN s.viewers IS NOT NULL
            THEN least(s.hold_us, g.to_us) - greatest(s.sampled_us, g.from_us)
            ELSE 0
        END AS held_us
    FROM segments AS g
    JOIN samples AS s ON s.stream_id = g.stream_id
    WHERE s.sampled_us < g.to_us AND (s.sampled_us >= g.from_us OR s.hold_us > g.from_us)
),
placed AS (
    SELECT
        segment_id,
        sampled_at,
        viewers,
        messages,
        is_inside,
        held_us,
        row_number() OVER (
            PARTITION BY segment_id
            ORDER BY is_inside DESC, CASE WHEN viewers IS NULL THEN 1 ELSE 0 END, viewers DESC, sampled_at
        ) AS place
    FROM touching
),
totals AS (
    SELECT
        segment_id,
        max(CASE WHEN is_inside = 1 THEN viewers END) AS peak_viewers,
        max(CASE WHEN place = 1 AND is_inside = 1 AND viewers IS NOT NULL THEN sampled_at END) AS peak_at,
        sum(CAST(viewers AS DECIMAL(19, 0)) * CAST(held_us AS DECIMAL(19, 0))) AS viewer_us,
        sum(held_us) AS covered_us,
        sum(CASE WHEN is_inside = 1 THEN messages END) AS messages,
        sum(is_inside) AS samples,
        sum(CASE WHEN is_inside = 1 AND viewers IS NULL THEN 1 ELSE 0 END) AS null_samples
    FROM placed
    GROUP BY segment_id
),
measured AS (
    SELECT
        g.stream_day,
        g.stream_id,
        g.channel_id,
        g.segment_id,
        g.position,
        g.title,
        g.category_id,
        g.category_name,
        g.started_at,
        g.ended_at,
        CASE WHEN g.is_measured THEN CAST(greatest(g.to_us - g.from_us, 0) AS DOUBLE) END AS live_us,
        t.peak_viewers,
        t.peak_at,
        coalesce(CAST(t.viewer_us AS DOUBLE), 0) AS viewer_us,
        coalesce(CAST(t.covered_us AS DOUBLE), 0) AS covered_us,
        coalesce(t.samples, 0) AS samples,
        coalesce(t.null_samples, 0) AS null_samples,
        t.messages
    FROM segments AS g
    LEFT JOIN totals AS t ON t.segment_id = g.segment_id
)
SELECT
    stream_day,
    stream_id,
    channel_id,
    segment_id,
    position,
    title,
    category_id,
    category_name,
    started_at,
    ended_at,
    live_us / 1000000 AS live_seconds,
    peak_viewers,
    peak_at,
    viewer_us / nullif(covered_us, 0) AS average_viewers,
    viewer_us / 1000000 AS viewer_seconds,
    covered_us / 1000000 AS covered_seconds,
    covered_us / nullif(live_us, 0) AS coverage_ratio,
    CAST(samples AS BIGINT) AS samples,
    CAST(null_samples AS BIGINT) AS null_samples,
    CAST(messages AS BIGINT) AS messages
FROM measured
