-- Follows of each channel that began and ended on a UTC day.
SELECT
    CAST($day AS DATE) AS day,
    channel_id,
    CAST(sum(CASE WHEN action = 'follow' THEN 1 ELSE 0 END) AS BIGINT) AS follows,
    CAST(sum(CASE WHEN action = 'unfollow' THEN 1 ELSE 0 END) AS BIGINT) AS unfollows
FROM follow_events
GROUP BY channel_id
