-- What trends at a full hour: what people did with each VOD in the seven days before it, the older the less, times how
-- much of it they watched. All inputs are as they were known at the hour.
--
-- Sums are of whole numbers (billionths of a point, millionths of a share), so that they do not depend on the order of
-- rows and an hour's list comes out the same each time. Clips are to be another part of `contents`.
WITH contents AS (
    SELECT
        'vod' AS content_kind,
        vod_id AS content_id,
        channel_id,
        duration_ms,
        created_at
    FROM dim_vods
    WHERE valid_to IS NULL AND is_public AND deleted_at IS NULL AND duration_ms > 0
),
bounds AS (
    SELECT
        CAST($hour AS TIMESTAMP) - INTERVAL '7' DAY AS from_at,
        epoch_us(CAST($hour AS TIMESTAMP)) AS hour_us
),
marked AS (
    -- sessions that are no person's, or the owner's
    SELECT m.content_id, m.session_id, min(s.viewer_id) AS viewer_id
    FROM bot_marks AS m
    JOIN sessions AS s ON s.content_id = m.content_id AND s.session_id = m.session_id
    GROUP BY m.content_id, m.session_id
),
viewed AS (
    -- one view a viewer, content and UTC day: the first
    SELECT
        v.content_id,
        coalesce(v.viewer_id, v.session_id) AS viewer,
        min(v.viewer_id) AS viewer_id,
        min(v.viewed_at) AS acted_at
    FROM views AS v
    CROSS JOIN bounds AS b
    WHERE v.is_filtered AND v.viewed_at >= b.from_at
    GROUP BY v.content_id, coalesce(v.viewer_id, v.session_id), v.day
),
engaged AS (
    -- what people did beside watching; a visit is a deed for the content whose ref led to the channel
    SELECT
        c.content_id,
        c.channel_id,
        e.viewer_id,
        e.action,
        e.event_id,
        e.occurred_at
    FROM engagement_events AS e
    CROSS JOIN bounds AS b
    JOIN contents AS c
        ON c.channel_id = e.channel_id
        AND c.content_id = CASE WHEN e.action = 'page_visit' THEN e.ref ELSE coalesce(e.vod_id, e.clip_id) END
    WHERE e.occurred_at >= b.from_at
        AND e.viewer_id IS NOT NULL
        AND e.crawler IS NULL
        AND (e.action IN ('like', 'unlike', 'share') OR (e.action = 'page_visit' AND e.page IN ('channel', 'live')))
),
by_people AS (
    SELECT e.content_id, e.viewer_id, e.action, e.event_id, e.occurred_at
    FROM engaged AS e
    LEFT JOIN dim_channel_owners AS o
        ON o.channel_id = e.channel_id AND o.owner_id = e.viewer_id AND o.valid_to IS NULL
    WHERE o.owner_id IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM marked AS m WHERE m.content_id = e.content_id AND m.viewer_id = e.viewer_id
        )
),
last_words AS (
    -- likes and unlikes, the last one of each viewer first
    SELECT
        content_id,
        viewer_id,
        action,
        occurred_at,
        row_number() OVER (PARTITION BY content_id, viewer_id ORDER BY occurred_at DESC, event_id DESC) AS place
    FROM by_people
    WHERE action IN ('like', 'unlike')
),
actions AS (
    SELECT content_id, acted_at, 1 AS weight, 1 AS views, 0 AS likes, 0 AS shares, 0 AS channel_visits
    FROM viewed
    UNION ALL
    -- liked in the end: since the first like, so that liking again keeps nothing young
    SELECT
        content_id,
        min(CASE WHEN action = 'like' THEN occurred_at END) AS acted_at,
        3 AS weight,
        0 AS views,
        1 AS likes,
        0 AS shares,
        0 AS channel_visits
    FROM last_words
    GROUP BY content_id, viewer_id
    HAVING max(CASE WHEN place = 1 AND action = 'like' THEN 1 ELSE 0 END) = 1
    UNION ALL
    SELECT
        content_id,
        min(occurred_at) AS acted_at,
        CASE WHEN action = 'share' THEN 5 ELSE 8 END AS weight,
        0 AS views,
        0 AS likes,
        CASE WHEN action = 'share' THEN 1 ELSE 0 END AS shares,
        CASE WHEN action = 'share' THEN 0 ELSE 1 END AS channel_visits
    FROM by_people
    WHERE action IN ('share', 'page_visit')
    GROUP BY content_id, viewer_id, action, date_trunc('day', occurred_at)
),
points AS (
    -- half of an action is left after 12 hours; what is ahead of the hour, by a clock that is wrong, is of the hour
    SELECT
        a.content_id,
        CAST(sum(a.weight * CAST(floor(
            1000000000 * power(
                CAST(2 AS DOUBLE),
                CAST(-greatest(b.hour_us - epoch_us(a.acted_at), 0) AS DOUBLE) / 43200000000
            )
        ) AS BIGINT)) AS BIGINT) AS billionths,
        CAST(sum(a.views) AS BIGINT) AS views,
        CAST(sum(a.likes) AS BIGINT) AS likes,
        CAST(sum(a.shares) AS BIGINT) AS shares,
        CAST(sum(a.channel_visits) AS BIGINT) AS channel_visits
    FROM actions AS a
    CROSS JOIN bounds AS b
    GROUP BY a.content_id
),
viewers AS (
    SELECT content_id, viewer, min(viewer_id) AS viewer_id FROM viewed GROUP BY content_id, viewer
),
watched AS (
    SELECT s.content_id, coalesce(s.viewer_id, s.session_id) AS viewer, CAST(sum(s.watched_ms) AS BIGINT) AS watched_ms
    FROM sessions AS s
    CROSS JOIN bounds AS b
    WHERE s.started_at >= b.from_at
        AND NOT EXISTS (
            SELECT 1 FROM marked AS m WHERE m.content_id = s.content_id AND m.session_id = s.session_id
        )
    GROUP BY s.content_id, coalesce(s.viewer_id, s.session_id)
),
completed AS (
    -- the share of a content that each of its viewers watched, in millionths
    SELECT
        c.content_kind,
        c.channel_id,
        c.content_id,
        count(*) AS viewers,
        count(v.viewer_id) AS unique_viewers,
        CAST(sum(least(coalesce(w.watched_ms, 0), c.duration_ms) * 1000000 // c.duration_ms) AS BIGINT) AS millionths
    FROM viewers AS v
    JOIN contents AS c ON c.content_id = v.content_id
    LEFT JOIN watched AS w ON w.content_id = v.content_id AND w.viewer = v.viewer
    GROUP BY c.content_kind, c.channel_id, c.content_id
),
of_channels AS (
    SELECT
        content_kind,
        channel_id,
        CAST(sum(millionths) AS DOUBLE) / CAST(sum(viewers) AS DOUBLE) / 1000000 AS mean_completion
    FROM completed
    GROUP BY content_kind, channel_id
),
scored AS (
    SELECT
        c.content_kind,
        c.content_id,
        c.channel_id,
        o.created_at,
        CAST(p.billionths AS DOUBLE) / 1000000000 AS points,
        (CAST(c.millionths AS DOUBLE) / 1000000 + 5 * m.mean_completion)
            / CAST(c.viewers + 5 AS DOUBLE) AS completion_ratio,
        c.unique_viewers,
        p.views,
        p.likes,
        p.shares,
        p.channel_visits
    FROM completed AS c
    JOIN points AS p ON p.content_id = c.content_id
    JOIN contents AS o ON o.content_id = c.content_id
    JOIN of_channels AS m ON m.content_kind = c.content_kind AND m.channel_id = c.channel_id
    WHERE c.unique_viewers >= 5
),
in_channels AS (
    SELECT
        content_kind,
        content_id,
        channel_id,
        created_at,
        points * completion_ratio AS score,
        points,
        completion_ratio,
        unique_viewers,
        views,
        likes,
        shares,
        channel_visits,
        row_number() OVER (
            PARTITION BY content_kind, channel_id ORDER BY points * completion_ratio DESC, created_at DESC, content_id DESC
        ) AS channel_rank
    FROM scored
),
placed AS (
    -- the three best of each channel beside each other, and all others
    SELECT
        content_kind,
        content_id,
        channel_id,
        score,
        points,
        completion_ratio,
        unique_viewers,
        views,
        likes,
        shares,
        channel_visits,
        channel_rank,
        row_number() OVER (
            PARTITION BY content_kind, CASE WHEN channel_rank <= 3 THEN 1 ELSE 0 END
            ORDER BY score DESC, created_at DESC, content_id DESC
        ) AS place
    FROM in_channels
)
SELECT
    CAST(CAST($hour AS TIMESTAMP) AS DATE) AS day,
    CAST($hour AS TIMESTAMP) AS hour_at,
    content_kind,
    content_id,
    channel_id,
    CASE WHEN channel_rank <= 3 AND place <= 50 THEN place END AS list_rank,
    channel_rank,
    score,
    points,
    completion_ratio,
    unique_viewers,
    views,
    likes,
    shares,
    channel_visits
FROM placed
