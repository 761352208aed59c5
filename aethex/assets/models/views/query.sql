-- Views: of the sessions that watched enough in a clock hour, the first of each viewer. Who has no id is a viewer of its
-- own in each session. Raw and filtered are chosen apart, as a bot's view must not take the place of a person's.
WITH viewed AS (
    SELECT
        s.day,
        date_trunc('hour', s.viewed_at) AS hour_at,
        s.channel_id,
        s.content_kind,
        s.content_id,
        s.session_id,
        s.viewer_id,
        coalesce(s.viewer_id, s.session_id) AS viewer,
        s.viewed_at,
        CASE WHEN EXISTS (
            SELECT 1 FROM bot_marks AS m WHERE m.content_id = s.content_id AND m.session_id = s.session_id
        ) THEN 1 ELSE 0 END AS is_bot
    FROM sessions AS s
    WHERE s.day = CAST($day AS DATE) AND s.viewed_at IS NOT NULL
),
placed AS (
    SELECT
        day,
        hour_at,
        channel_id,
        content_kind,
        content_id,
        session_id,
        viewer_id,
        viewed_at,
        is_bot,
        row_number() OVER (PARTITION BY content_id, viewer, hour_at ORDER BY viewed_at, session_id) AS place,
        row_number() OVER (
            PARTITION BY content_id, viewer, hour_at, is_bot ORDER BY viewed_at, session_id
        ) AS place_among_its_kind
    FROM viewed
)
SELECT
    day,
    hour_at,
    channel_id,
    content_kind,
    content_id,
    session_id,
    viewer_id,
    viewed_at,
    place = 1 AS is_raw,
    is_bot = 0 AND place_among_its_kind = 1 AS is_filtered
FROM placed
WHERE place = 1 OR (is_bot = 0 AND place_among_its_kind = 1)
