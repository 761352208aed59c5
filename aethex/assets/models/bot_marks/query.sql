-- Sessions that are no person's, or the channel's own: which rule says so. Several rules may mark one session.
WITH played AS (
    SELECT
        channel_id,
        content_id,
        session_id,
        min(viewer_id) AS viewer_id,
        min(crawler) AS crawler,
        max(longest_unpaused_ms) AS longest_unpaused_ms,
        max(sessions_in_minute) AS sessions_in_minute
    FROM sessions
    WHERE day = CAST($day AS DATE)
    GROUP BY channel_id, content_id, session_id
)
SELECT CAST($day AS DATE) AS day, content_id, session_id, 'known_crawler' AS rule
FROM played
WHERE crawler IS NOT NULL
UNION ALL
SELECT CAST($day AS DATE) AS day, p.content_id, p.session_id, 'channel_owner' AS rule
FROM played AS p
JOIN dim_channel_owners AS o
    ON o.channel_id = p.channel_id AND o.owner_id = p.viewer_id AND o.valid_to IS NULL
UNION ALL
SELECT CAST($day AS DATE) AS day, content_id, session_id, 'no_pause_for_24_hours' AS rule
FROM played
WHERE longest_unpaused_ms > 86400000
UNION ALL
SELECT CAST($day AS DATE) AS day, content_id, session_id, 'over_50_sessions_a_minute' AS rule
FROM played
WHERE sessions_in_minute > 50
