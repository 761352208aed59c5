-- The whole audience of each stream, streams without a sample included.
WITH streams AS (
    SELECT stream_day, stream_id, channel_id, started_at, ended_at
    FROM dim_streams
    WHERE valid_to IS NULL AND stream_day = CAST($stream_day AS DATE)
),
samples AS (
    SELECT
        stream_id,
        sampled_at,
        viewers,
        messages,
        epoch_us(hold_until) - epoch_us(sampled_at) AS held_us,
        row_number() OVER (
            PARTITION BY stream_id
            ORDER BY CASE WHEN viewers IS NULL THEN 1 ELSE 0 END, viewers DESC, sampled_at
        ) AS place
    FROM stream_samples
    WHERE stream_day = CAST($stream_day AS DATE)
),
totals AS (
    SELECT
        stream_id,
        max(sampled_at) AS last_at,
        max(viewers) AS peak_viewers,
        max(CASE WHEN place = 1 AND viewers IS NOT NULL THEN sampled_at END) AS peak_at,
        sum(CAST(viewers AS DECIMAL(19, 0)) * CAST(held_us AS DECIMAL(19, 0))) AS viewer_us,
        sum(held_us) AS covered_us,
        sum(messages) AS messages,
        count(*) AS samples,
        sum(CASE WHEN viewers IS NULL THEN 1 ELSE 0 END) AS null_samples
    FROM samples
    GROUP BY stream_id
),
measured AS (
    SELECT
        s.stream_day,
        s.stream_id,
        s.channel_id,
        s.started_at,
        -- the end that stream_samples takes for a stream without one
        coalesce(
            s.ended_at,
            least(t.last_at + INTERVAL '60' SECOND, date_trunc('day', t.last_at) + INTERVAL '1' DAY)
        ) AS ended_at,
        s.ended_at IS NOT NULL AS is_final,
        t.peak_viewers,
        t.peak_at,
        coalesce(CAST(t.viewer_us AS DOUBLE), 0) AS viewer_us,
        coalesce(CAST(t.covered_us AS DOUBLE), 0) AS covered_us,
        t.messages,
        coalesce(t.samples, 0) AS samples,
        coalesce(t.null_samples, 0) AS null_samples
    FROM streams AS s
    LEFT JOIN totals AS t ON t.stream_id = s.stream_id
),
timed AS (
    -- greatest() passes over a NULL, which here means that the length is not known.
    SELECT
        stream_day,
        stream_id,
        channel_id,
        started_at,
        ended_at,
        is_final,
        peak_viewers,
        peak_at,
        viewer_us,
        covered_us,
        messages,
        samples,
        null_samples,
        CASE WHEN ended_at IS NOT NULL
            THEN CAST(greatest(epoch_us(ended_at) - epoch_us(started_at), 0) AS DOUBLE)
        END AS live_us
    FROM measured
)
SELECT
    stream_day,
    stream_id,
    channel_id,
    started_at,
    ended_at,
    is_final,
    live_us / 1000000 AS live_seconds,
    peak_viewers,
    peak_at,
    viewer_us / nullif(covered_us, 0) AS average_viewers,
    viewer_us / 1000000 AS viewer_seconds,
    covered_us / 1000000 AS covered_seconds,
    covered_us / nullif(live_us, 0) AS coverage_ratio,
    CAST(samples AS BIGINT) AS samples,
    CAST(null_samples AS BIGINT) AS null_samples,
    CAST(messages AS BIGINT) AS messages,
    CASE WHEN samples > 0 THEN 'snapshot' END AS viewer_source
FROM timed
