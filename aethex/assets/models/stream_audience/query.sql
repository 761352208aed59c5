-- A stream's audience from its players' sessions, its chat and its channel's follows.
WITH streams AS (
    SELECT stream_id, channel_id, started_at, ended_at
    FROM dim_streams
    WHERE valid_to IS NULL AND stream_day = CAST($stream_day AS DATE)
),
marked AS (
    SELECT content_id, session_id, min(rule) AS rule FROM bot_marks GROUP BY content_id, session_id
),
played AS (
    SELECT
        t.stream_id,
        s.session_id,
        s.day,
        s.interval_number,
        s.viewer_id,
        s.is_first,
        s.watched_ms,
        epoch_us(s.started_at) // 1000 AS from_ms,
        epoch_us(s.ended_at) // 1000 AS to_ms,
        CASE WHEN m.rule IS NULL THEN 1 ELSE 0 END AS is_person
    FROM streams AS t
    JOIN sessions AS s ON s.content_id = t.stream_id
    LEFT JOIN marked AS m ON m.content_id = s.content_id AND m.session_id = s.session_id
),
bounds AS (
    -- A stream without an end lasts as far as somebody was there.
    SELECT
        t.stream_id,
        t.channel_id,
        t.started_at,
        t.ended_at,
        epoch_us(t.started_at) // 1000 AS live_from_ms,
        coalesce(epoch_us(t.ended_at) // 1000, max(p.to_ms)) AS live_to_ms
    FROM streams AS t
    LEFT JOIN played AS p ON p.stream_id = t.stream_id
    GROUP BY t.stream_id, t.channel_id, t.started_at, t.ended_at
),
live AS (
    -- intervals as far as the stream was live, twice: of everybody, and of people
    SELECT
        p.stream_id,
        p.session_id,
        p.day,
        p.interval_number,
        o.is_filtered,
        greatest(p.from_ms, b.live_from_ms) AS from_ms,
        least(p.to_ms, b.live_to_ms) AS to_ms
    FROM played AS p
    JOIN bounds AS b ON b.stream_id = p.stream_id
    CROSS JOIN (VALUES (0), (1)) AS o(is_filtered)
    WHERE greatest(p.from_ms, b.live_from_ms) < least(p.to_ms, b.live_to_ms)
      AND (o.is_filtered = 0 OR p.is_person = 1)
),
changes AS (
    SELECT stream_id, is_filtered, from_ms AS at_ms, 1 AS change, session_id, day, interval_number FROM live
    UNION ALL
    SELECT stream_id, is_filtered, to_ms AS at_ms, -1 AS change, session_id, day, interval_number FROM live
),
swept AS (
    -- ends before starts at equal times
    SELECT
        stream_id,
        is_filtered,
        at_ms,
        sum(change) OVER (
            PARTITION BY stream_id, is_filtered ORDER BY at_ms, change, session_id, day, interval_number
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS concurrent
    FROM changes
),
highest AS (
    SELECT
        stream_id,
        is_filtered,
        at_ms,
        concurrent,
        row_number() OVER (PARTITION BY stream_id, is_filtered ORDER BY concurrent DESC, at_ms) AS place
    FROM swept
),
peaks AS (
    SELECT
        stream_id,
        max(CASE WHEN is_filtered = 1 THEN concurrent END) AS peak,
        max(CASE WHEN is_filtered = 1 THEN at_ms END) AS peak_ms,
        max(CASE WHEN is_filtered = 0 THEN concurrent END) AS peak_raw
    FROM highest
    WHERE place = 1
    GROUP BY stream_id
),
present AS (
    SELECT
        stream_id,
        sum(CASE WHEN is_filtered = 1 THEN to_ms - from_ms ELSE 0 END) AS present_ms,
        sum(CASE WHEN is_filtered = 0 THEN to_ms - from_ms ELSE 0 END) AS present_ms_raw
    FROM live
    GROUP BY stream_id
),
totals AS (
    SELECT
        stream_id,
        sum(CASE WHEN is_first AND is_person = 1 THEN 1 ELSE 0 END) AS sessions,
        sum(CASE WHEN is_first THEN 1 ELSE 0 END) AS sessions_raw,
        count(DISTINCT CASE WHEN is_person = 1 THEN viewer_id END) AS unique_viewers,
        count(DISTINCT viewer_id) AS unique_viewers_raw,
        sum(CASE WHEN is_person = 1 THEN watched_ms ELSE 0 END) AS watched_ms,
        sum(watched_ms) AS watched_ms_raw
    FROM played
    GROUP BY stream_id
),
viewed AS (
    SELECT
        content_id AS stream_id,
        sum(CASE WHEN is_filtered THEN 1 ELSE 0 END) AS views,
        sum(CASE WHEN is_raw THEN 1 ELSE 0 END) AS views_raw
    FROM views
    GROUP BY content_id
),
chat AS (
    SELECT b.stream_id, count(*) AS chat_messages, count(DISTINCT c.viewer_id) AS chatters
    FROM bounds AS b
    JOIN chat_messages AS c ON c.stream_id = b.stream_id
    WHERE c.occurred_at >= b.started_at AND (b.ended_at IS NULL OR c.occurred_at < b.ended_at)
    GROUP BY b.stream_id
),
followers AS (
    SELECT
        b.stream_id,
        f.viewer_id,
        sum(CASE WHEN f.action = 'follow' THEN 1 ELSE -1 END) AS change
    FROM bounds AS b
    JOIN follow_events AS f ON f.channel_id = b.channel_id
    WHERE f.occurred_at >= b.started_at
      AND (b.ended_at IS NULL OR f.occurred_at <= b.ended_at + INTERVAL '10' MINUTE)
    GROUP BY b.stream_id, f.viewer_id
),
follows AS (
    SELECT stream_id, sum(CASE WHEN change > 0 THEN 1 ELSE 0 END) AS new_followers FROM followers GROUP BY stream_id
)
SELECT
    CAST($stream_day AS DATE) AS stream_day,
    b.stream_id,
    b.channel_id,
    CAST(t.sessions AS BIGINT) AS sessions,
    t.unique_viewers,
    CAST(CASE WHEN t.stream_id IS NOT NULL THEN coalesce(v.views, 0) END AS BIGINT) AS views,
    CAST(t.watched_ms AS DOUBLE) / 1000 AS watched_seconds,
    CASE WHEN t.stream_id IS NOT NULL THEN CAST(coalesce(p.present_ms, 0) AS DOUBLE) / 1000 END AS present_seconds,
    CASE WHEN t.stream_id IS NOT NULL THEN CAST(coalesce(k.peak, 0) AS BIGINT) END AS peak_concurrent,
    -- an interval is multiplied by a 32-bit number, so the time is counted in two parts from the day's begin
    CAST(CAST($stream_day AS DATE) AS TIMESTAMP)
        + ((k.peak_ms - epoch_us(CAST(CAST($stream_day AS DATE) AS TIMESTAMP)) // 1000) // 1000) * INTERVAL '1' SECOND
        + ((k.peak_ms - epoch_us(CAST(CAST($stream_day AS DATE) AS TIMESTAMP)) // 1000) % 1000)
        * INTERVAL '1' MILLISECOND AS peak_concurrent_at,
    CASE WHEN t.stream_id IS NOT NULL THEN
        CAST(coalesce(p.present_ms, 0) AS DOUBLE) / nullif(CAST(b.live_to_ms - b.live_from_ms AS DOUBLE), 0)
    END AS average_concurrent,
    CAST(t.sessions_raw AS BIGINT) AS sessions_raw,
    t.unique_viewers_raw,
    CAST(CASE WHEN t.stream_id IS NOT NULL THEN coalesce(v.views_raw, 0) END AS BIGINT) AS views_raw,
    CAST(t.watched_ms_raw AS DOUBLE) / 1000 AS watched_seconds_raw,
    CASE WHEN t.stream_id IS NOT NULL THEN CAST(coalesce(p.present_ms_raw, 0) AS DOUBLE) / 1000 END
        AS present_seconds_raw,
    CASE WHEN t.stream_id IS NOT NULL THEN CAST(coalesce(k.peak_raw, 0) AS BIGINT) END AS peak_concurrent_raw,
    CASE WHEN t.stream_id IS NOT NULL THEN
        CAST(coalesce(p.present_ms_raw, 0) AS DOUBLE) / nullif(CAST(b.live_to_ms - b.live_from_ms AS DOUBLE), 0)
    END AS average_concurrent_raw,
    CASE WHEN t.stream_id IS NOT NULL THEN CAST(b.live_to_ms - b.live_from_ms AS DOUBLE) / 1000 END AS live_seconds,
    c.chat_messages,
    c.chatters,
    CAST(coalesce(f.new_followers, 0) AS BIGINT) AS new_followers
FROM bounds AS b
LEFT JOIN totals AS t ON t.stream_id = b.stream_id
LEFT JOIN present AS p ON p.stream_id = b.stream_id
LEFT JOIN peaks AS k ON k.stream_id = b.stream_id
LEFT JOIN viewed AS v ON v.stream_id = b.stream_id
LEFT JOIN chat AS c ON c.stream_id = b.stream_id
LEFT JOIN follows AS f ON f.stream_id = b.stream_id
WHERE t.stream_id IS NOT NULL OR c.stream_id IS NOT NULL OR f.stream_id IS NOT NULL
