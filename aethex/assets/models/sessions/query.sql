-- Players' sessions from their events: in which intervals somebody was there, and how much was watched.
--
-- A player's own clock (elapsed_ms) orders its events and measures between them: it never jumps. An interval is put on
-- the wall clock by the event that came in with the least delay. What crosses midnight is split there; the days before
-- and after are read, so that both sides see the same interval.
WITH events AS (
    SELECT
        channel_id,
        CASE WHEN vod_id IS NOT NULL THEN 'vod' WHEN clip_id IS NOT NULL THEN 'clip' ELSE 'stream' END AS content_kind,
        coalesce(vod_id, clip_id, stream_id) AS content_id,
        session_id,
        viewer_id,
        event_id,
        sequence,
        elapsed_ms,
        position_ms,
        coalesce(from_position_ms, position_ms) AS played_to_ms,
        is_paused,
        crawler,
        epoch_us(occurred_at) // 1000 AS occurred_ms
    FROM playback_events
    WHERE session_id IS NOT NULL AND coalesce(vod_id, clip_id, stream_id) IS NOT NULL
),
pairs AS (
    -- each event beside the one before it in its session
    SELECT
        channel_id,
        content_kind,
        content_id,
        session_id,
        viewer_id,
        event_id,
        sequence,
        elapsed_ms,
        played_to_ms,
        crawler,
        occurred_ms,
        lag(elapsed_ms) OVER (
            PARTITION BY channel_id, content_id, session_id ORDER BY elapsed_ms, sequence, event_id
        ) AS before_elapsed_ms,
        lag(position_ms) OVER (
            PARTITION BY channel_id, content_id, session_id ORDER BY elapsed_ms, sequence, event_id
        ) AS before_position_ms,
        lag(occurred_ms) OVER (
            PARTITION BY channel_id, content_id, session_id ORDER BY elapsed_ms, sequence, event_id
        ) AS before_occurred_ms,
        lag(is_paused) OVER (
            PARTITION BY channel_id, content_id, session_id ORDER BY elapsed_ms, sequence, event_id
        ) AS was_paused
    FROM events
),
steps AS (
    -- An interval begins with the session, after 90 s of silence, and where the wall clock went on for 90 s more than
    -- the player's own: it slept.
    SELECT
        channel_id,
        content_kind,
        content_id,
        session_id,
        viewer_id,
        event_id,
        sequence,
        elapsed_ms,
        before_elapsed_ms,
        played_to_ms,
        before_position_ms,
        was_paused,
        crawler,
        occurred_ms,
        CASE
            WHEN before_elapsed_ms IS NULL THEN 1
            WHEN elapsed_ms - before_elapsed_ms > 90000 THEN 1
            WHEN (occurred_ms - before_occurred_ms) - (elapsed_ms - before_elapsed_ms) > 90000 THEN 1
            ELSE 0
        END AS is_begin
    FROM pairs
),
measured AS (
    SELECT
        channel_id,
        content_kind,
        content_id,
        session_id,
        viewer_id,
        crawler,
        elapsed_ms,
        occurred_ms,
        is_begin,
        CASE WHEN is_begin = 1 THEN elapsed_ms ELSE before_elapsed_ms END AS from_elapsed_ms,
        CASE
            WHEN is_begin = 1 THEN 0
            ELSE least(greatest(played_to_ms - before_position_ms, 0), elapsed_ms - before_elapsed_ms)
        END AS watched_ms,
        sum(is_begin) OVER (
            PARTITION BY channel_id, content_id, session_id ORDER BY elapsed_ms, sequence, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS interval_number,
        sum(CASE WHEN is_begin = 1 OR was_paused THEN 1 ELSE 0 END) OVER (
            PARTITION BY channel_id, content_id, session_id ORDER BY elapsed_ms, sequence, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS run_number,
        CASE WHEN is_begin = 1 OR was_paused THEN 0 ELSE elapsed_ms - before_elapsed_ms END AS unpaused_ms,
        event_id,
        sequence
    FROM steps
),
placed AS (
    -- where each interval lies on the wall clock, and how much of the session was watched up to each event
    SELECT
        m.channel_id,
        m.content_kind,
        m.content_id,
        m.session_id,
        m.viewer_id,
        m.crawler,
        m.interval_number,
        m.run_number,
        m.unpaused_ms,
        m.watched_ms,
        min(m.occurred_ms - m.elapsed_ms) OVER (
            PARTITION BY m.channel_id, m.content_id, m.session_id, m.interval_number
        ) + m.from_elapsed_ms AS from_ms,
        min(m.occurred_ms - m.elapsed_ms) OVER (
            PARTITION BY m.channel_id, m.content_id, m.session_id, m.interval_number
        ) + m.elapsed_ms AS to_ms,
        sum(m.watched_ms) OVER (
            PARTITION BY m.channel_id, m.content_id, m.session_id ORDER BY m.elapsed_ms, m.sequence, m.event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS watched_so_far_ms,
        CASE WHEN v.duration_ms < 20000 THEN v.duration_ms // 2 + 1 ELSE 10000 END AS view_ms
    FROM measured AS m
    LEFT JOIN dim_vods AS v ON v.vod_id = m.content_id AND v.valid_to IS NULL
),
runs AS (
    SELECT channel_id, content_id, session_id, run_number, sum(unpaused_ms) AS unpaused_ms
    FROM placed
    GROUP BY channel_id, content_id, session_id, run_number
),
facts AS (
    -- what holds for a session as a whole, as far as the three days show it
    SELECT
        p.channel_id,
        p.content_id,
        p.session_id,
        min(p.viewer_id) AS viewer_id,
        min(p.crawler) AS crawler,
        min(p.from_ms) AS began_ms
    FROM placed AS p
    GROUP BY p.channel_id, p.content_id, p.session_id
),
longest AS (
    SELECT channel_id, content_id, session_id, max(unpaused_ms) AS longest_unpaused_ms
    FROM runs
    GROUP BY channel_id, content_id, session_id
),
crowds AS (
    -- how many sessions of one viewer began in one minute
    SELECT viewer_id, began_ms // 60000 AS began_minute, count(*) AS sessions
    FROM facts
    WHERE viewer_id IS NOT NULL
    GROUP BY viewer_id, began_ms // 60000
),
bounds AS (
    SELECT
        epoch_us(CAST(CAST($day AS DATE) AS TIMESTAMP)) // 1000 AS day_from_ms,
        epoch_us(CAST(CAST($day AS DATE) AS TIMESTAMP)) // 1000 + 86400000 AS day_to_ms
),
pieces AS (
    -- the part of each step before the day's begin, and before its end, in proportion to its time
    SELECT
        p.channel_id,
        p.content_kind,
        p.content_id,
        p.session_id,
        p.interval_number,
        p.from_ms,
        p.to_ms,
        b.day_from_ms,
        b.day_to_ms,
        CASE
            WHEN b.day_to_ms >= p.to_ms THEN p.watched_ms
            WHEN b.day_to_ms <= p.from_ms THEN 0
            ELSE p.watched_ms * (b.day_to_ms - p.from_ms) // (p.to_ms - p.from_ms)
        END - CASE
            WHEN b.day_from_ms >= p.to_ms THEN p.watched_ms
            WHEN b.day_from_ms <= p.from_ms THEN 0
            ELSE p.watched_ms * (b.day_from_ms - p.from_ms) // (p.to_ms - p.from_ms)
        END AS watched_ms,
        CASE
            WHEN p.watched_so_far_ms >= p.view_ms AND p.watched_so_far_ms - p.watched_ms < p.view_ms
                AND p.to_ms >= b.day_from_ms AND p.to_ms < b.day_to_ms
            THEN p.to_ms
        END AS viewed_ms
    FROM placed AS p
    CROSS JOIN bounds AS b
),
intervals AS (
    SELECT
        channel_id,
        content_kind,
        content_id,
        session_id,
        CAST(interval_number AS BIGINT) AS interval_number,
        min(from_ms) AS from_ms,
        max(to_ms) AS to_ms,
        min(day_from_ms) AS day_from_ms,
        min(day_to_ms) AS day_to_ms,
        CAST(sum(watched_ms) AS BIGINT) AS watched_ms,
        min(viewed_ms) AS viewed_ms
    FROM pieces
    GROUP BY channel_id, content_kind, content_id, session_id, interval_number
)
SELECT
    CAST($day AS DATE) AS day,
    i.channel_id,
    i.content_kind,
    i.content_id,
    i.session_id,
    i.interval_number,
    f.viewer_id,
    -- an interval is multiplied by a 32-bit number, so times are counted from the day's begin
    CAST(CAST($day AS DATE) AS TIMESTAMP)
        + (greatest(i.from_ms, i.day_from_ms) - i.day_from_ms) * INTERVAL '1' MILLISECOND AS started_at,
    CAST(CAST($day AS DATE) AS TIMESTAMP)
        + (least(i.to_ms, i.day_to_ms) - i.day_from_ms) * INTERVAL '1' MILLISECOND AS ended_at,
    least(i.to_ms, i.day_to_ms) - greatest(i.from_ms, i.day_from_ms) AS present_ms,
    i.watched_ms,
    i.from_ms = f.began_ms AND i.from_ms >= i.day_from_ms AS is_first,
    CAST(CAST($day AS DATE) AS TIMESTAMP) + (i.viewed_ms - i.day_from_ms) * INTERVAL '1' MILLISECOND AS viewed_at,
    f.crawler,
    CAST(l.longest_unpaused_ms AS BIGINT) AS longest_unpaused_ms,
    coalesce(c.sessions, 1) AS sessions_in_minute
FROM intervals AS i
JOIN facts AS f ON f.channel_id = i.channel_id AND f.content_id = i.content_id AND f.session_id = i.session_id
JOIN longest AS l ON l.channel_id = i.channel_id AND l.content_id = i.content_id AND l.session_id = i.session_id
LEFT JOIN crowds AS c ON c.viewer_id = f.viewer_id AND c.began_minute = f.began_ms // 60000
WHERE i.from_ms < i.day_to_ms AND (i.to_ms > i.day_from_ms OR i.from_ms >= i.day_from_ms)
