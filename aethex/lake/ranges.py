"""SQL over a build for any range `[from_at, to_at)`: counts that hold across its borders are split
there.

What belongs here: the text of those queries, as `analytics` runs them with bound parameters. What
does not: models; these read a build on DuckDB only, so they may use all of its SQL.
"""

from __future__ import annotations

LIVE_IN_RANGE = """
    ($to_at::TIMESTAMP IS NULL OR a.started_at < $to_at::TIMESTAMP)
    AND ($from_at::TIMESTAMP IS NULL OR coalesce(a.ended_at, a.started_at) > $from_at::TIMESTAMP
         OR a.started_at >= $from_at::TIMESTAMP)
"""

# Holds clipped to a range, in whole microseconds: sums are exact, the division comes last.
_CLIPPED_HOLD = """
    CASE WHEN s.hold_until IS NULL THEN 0 ELSE greatest(
        0, epoch_us(least(s.hold_until, {to_at})) - epoch_us(greatest(s.sampled_at, {from_at}))
    ) END
"""

STREAM_RANGE = f"""
WITH holds AS (
    SELECT s.viewers,
           {_CLIPPED_HOLD.format(from_at="$from_at::TIMESTAMP", to_at="$to_at::TIMESTAMP")}
               AS hold_us,
           s.sampled_at >= $from_at::TIMESTAMP AND s.sampled_at < $to_at::TIMESTAMP AS is_inside,
           s.sampled_at,
           s.messages
    FROM stream_samples AS s
    WHERE s.stream_day = $stream_day AND s.stream_id = $stream_id
      AND s.sampled_at < $to_at::TIMESTAMP
      AND (s.sampled_at >= $from_at::TIMESTAMP OR s.hold_until > $from_at::TIMESTAMP)
),
sums AS (
    SELECT sum(hold_us)::BIGINT AS covered_us,
           sum(viewers::HUGEINT * hold_us) AS viewer_us,
           max(viewers) FILTER (WHERE is_inside) AS peak_viewers,
           sum(messages) FILTER (WHERE is_inside)::BIGINT AS messages,
           count(*) FILTER (WHERE is_inside) AS samples,
           count(*) FILTER (WHERE is_inside AND viewers IS NULL) AS null_samples
    FROM holds
),
live AS (
    -- least() passes over a NULL; here it means that the end is not known
    SELECT CASE WHEN ended_at IS NOT NULL THEN greatest(
               0, epoch_us(least(ended_at, $to_at::TIMESTAMP))
                  - epoch_us(greatest(started_at, $from_at::TIMESTAMP))
           ) END AS live_us
    FROM stream_analytics
    WHERE stream_day = $stream_day AND stream_id = $stream_id
)
SELECT live_us / 1e6, coalesce(covered_us, 0) / 1e6, coalesce(viewer_us, 0) / 1e6,
       viewer_us / nullif(covered_us, 0), coalesce(covered_us, 0) / nullif(live_us, 0),
       peak_viewers,
       (SELECT min(sampled_at) FROM holds WHERE is_inside AND viewers = sums.peak_viewers),
       messages, samples, null_samples
FROM sums CROSS JOIN live
"""

POINTS = """
SELECT sampled_at, viewers, messages
FROM stream_samples
WHERE stream_day = $stream_day AND stream_id = $stream_id
  AND sampled_at >= $from_at::TIMESTAMP AND sampled_at < $to_at::TIMESTAMP
ORDER BY sampled_at
"""

BUCKETS = """
WITH points AS (
    SELECT sampled_at, viewers, messages,
           (epoch_us(sampled_at) - epoch_us($from_at::TIMESTAMP)) // $bucket AS bucket
    FROM stream_samples
    WHERE stream_day = $stream_day AND stream_id = $stream_id
      AND sampled_at >= $from_at::TIMESTAMP AND sampled_at < $to_at::TIMESTAMP
)
SELECT coalesce(arg_max(sampled_at, (viewers, -epoch_us(sampled_at))) FILTER (WHERE viewers IS NOT
NULL),
                min(sampled_at)),
       max(viewers), sum(messages)::BIGINT
FROM points
GROUP BY bucket
ORDER BY bucket
"""

CHANNEL_RANGE = f"""
WITH streams AS (
    SELECT a.stream_id,
           greatest(a.started_at, coalesce($from_at::TIMESTAMP, a.started_at)) AS from_at,
           CASE WHEN a.ended_at IS NOT NULL
               THEN least(a.ended_at, coalesce($to_at::TIMESTAMP, a.ended_at))
           END AS to_at
    FROM stream_analytics AS a
    WHERE a.channel_id = $channel_id AND {LIVE_IN_RANGE}
),
reached AS (
    SELECT from_at, to_at,
           max(to_at) OVER (ORDER BY from_at, to_at, stream_id
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_at
    FROM streams
    WHERE to_at > from_at
),
live AS (
    -- a moment in which several streams are live counts once
    SELECT sum(epoch_us(to_at) - epoch_us(from_at)) AS stream_us,
           sum(greatest(
               0, epoch_us(to_at) - epoch_us(greatest(from_at, coalesce(before_at, from_at)))
           )) AS live_us
    FROM reached
),
holds AS (
    SELECT s.stream_id, s.viewers, s.messages, s.sampled_at,
           {_CLIPPED_HOLD.format(from_at="t.from_at", to_at="t.to_at")} AS hold_us,
           s.sampled_at >= t.from_at AND s.sampled_at < t.to_at AS is_inside
    FROM stream_samples AS s
    JOIN streams AS t ON t.stream_id = s.stream_id
    WHERE s.channel_id = $channel_id
),
sums AS (
    SELECT sum(hold_us)::BIGINT AS covered_us,
           sum(viewers::HUGEINT * hold_us) AS viewer_us,
           sum(messages) FILTER (WHERE is_inside)::BIGINT AS messages,
           count(*) FILTER (WHERE is_inside) AS samples,
           count(*) FILTER (WHERE is_inside AND viewers IS NULL) AS null_samples
    FROM holds
),
peaks AS (
    SELECT stream_id, viewers, sampled_at,
           row_number() OVER (ORDER BY viewers DESC, sampled_at, stream_id) AS place
    FROM holds
    WHERE is_inside AND viewers IS NOT NULL
)
SELECT (SELECT count(*) FROM streams), live.stream_us / 1e6, peaks.stream_id,
       live.live_us / 1e6, coalesce(covered_us, 0) / 1e6, coalesce(viewer_us, 0) / 1e6,
       viewer_us / nullif(covered_us, 0), coalesce(covered_us, 0) / nullif(live.stream_us, 0),
       peaks.viewers, peaks.sampled_at, messages, samples, null_samples
FROM sums
CROSS JOIN live
LEFT JOIN peaks ON peaks.place = 1
"""
