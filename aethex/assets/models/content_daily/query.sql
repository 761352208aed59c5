-- A UTC day of each stream, VOD and clip: how it was watched, and what people did with it.
WITH marked AS (
    SELECT content_id, session_id FROM bot_marks WHERE day = CAST($day AS DATE) GROUP BY content_id, session_id
),
played AS (
    SELECT
        s.channel_id,
        s.content_kind,
        s.content_id,
        s.session_id,
        s.viewer_id,
        s.is_first,
        s.present_ms,
        s.watched_ms,
        m.session_id IS NULL AS is_person
    FROM sessions AS s
    LEFT JOIN marked AS m ON m.content_id = s.content_id AND m.session_id = s.session_id
    WHERE s.day = CAST($day AS DATE)
),
measures AS (
    SELECT
        channel_id,
        content_kind,
        content_id,
        viewer_id AS raw_viewer_id,
        CASE WHEN is_person THEN viewer_id END AS viewer_id,
        CASE WHEN is_first THEN 1 ELSE 0 END AS sessions_raw,
        CASE WHEN is_first AND is_person THEN 1 ELSE 0 END AS sessions,
        0 AS views_raw,
        0 AS views,
        present_ms AS present_ms_raw,
        CASE WHEN is_person THEN present_ms ELSE 0 END AS present_ms,
        watched_ms AS watched_ms_raw,
        CASE WHEN is_person THEN watched_ms ELSE 0 END AS watched_ms,
        0 AS likes,
        0 AS unlikes,
        0 AS shares_raw,
        0 AS shares
    FROM played
    UNION ALL
    SELECT
        channel_id,
        content_kind,
        content_id,
        CAST(NULL AS VARCHAR) AS raw_viewer_id,
        CAST(NULL AS VARCHAR) AS viewer_id,
        0 AS sessions_raw,
        0 AS sessions,
        CASE WHEN is_raw THEN 1 ELSE 0 END AS views_raw,
        CASE WHEN is_filtered THEN 1 ELSE 0 END AS views,
        0 AS present_ms_raw,
        0 AS present_ms,
        0 AS watched_ms_raw,
        0 AS watched_ms,
        0 AS likes,
        0 AS unlikes,
        0 AS shares_raw,
        0 AS shares
    FROM views
    WHERE day = CAST($day AS DATE)
    UNION ALL
    SELECT
        channel_id,
        CASE WHEN vod_id IS NOT NULL THEN 'vod' WHEN clip_id IS NOT NULL THEN 'clip' ELSE 'stream' END AS content_kind,
        coalesce(vod_id, clip_id, stream_id) AS content_id,
        CAST(NULL AS VARCHAR) AS raw_viewer_id,
        CAST(NULL AS VARCHAR) AS viewer_id,
        0 AS sessions_raw,
        0 AS sessions,
        0 AS views_raw,
        0 AS views,
        0 AS present_ms_raw,
        0 AS present_ms,
        0 AS watched_ms_raw,
        0 AS watched_ms,
        CASE WHEN action = 'like' THEN 1 ELSE 0 END AS likes,
        CASE WHEN action = 'unlike' THEN 1 ELSE 0 END AS unlikes,
        CASE WHEN action = 'share' THEN 1 ELSE 0 END AS shares_raw,
        CASE WHEN action = 'share' AND crawler IS NULL THEN 1 ELSE 0 END AS shares
    FROM engagement_events
    WHERE action IN ('like', 'unlike', 'share') AND coalesce(vod_id, clip_id, stream_id) IS NOT NULL
)
SELECT
    CAST($day AS DATE) AS day,
    channel_id,
    content_kind,
    content_id,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(sum(views) AS BIGINT) AS views,
    count(DISTINCT viewer_id) AS unique_viewers,
    CAST(sum(present_ms) AS DOUBLE) / 1000 AS present_seconds,
    CAST(sum(watched_ms) AS DOUBLE) / 1000 AS watched_seconds,
    CAST(sum(sessions_raw) AS BIGINT) AS sessions_raw,
    CAST(sum(views_raw) AS BIGINT) AS views_raw,
    count(DISTINCT raw_viewer_id) AS unique_viewers_raw,
    CAST(sum(present_ms_raw) AS DOUBLE) / 1000 AS present_seconds_raw,
    CAST(sum(watched_ms_raw) AS DOUBLE) / 1000 AS watched_seconds_raw,
    CAST(sum(likes) AS BIGINT) AS likes,
    CAST(sum(unlikes) AS BIGINT) AS unlikes,
    CAST(sum(shares) AS BIGINT) AS shares,
    CAST(sum(shares_raw) AS BIGINT) AS shares_raw
FROM measures
GROUP BY channel_id, content_kind, content_id
