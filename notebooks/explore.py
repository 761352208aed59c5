"""Three questions to a build's numbers. Open it: `marimo edit notebooks/explore.py`."""

import marimo

app = marimo.App(width="medium", app_title="AeThex: three questions")


@app.cell
def _():
    import altair as alt
    import marimo as mo

    from aethex.lake import connect

    # one accent and quiet surroundings, like the dashboards
    accent, warm, quiet = "#5b3df5", "#c2410c", "#9aa1b0"
    con = connect(with_events=False)
    return accent, alt, con, mo, quiet, warm


@app.cell
def _(con):
    streams = con.execute(
        """
        SELECT a.stream_id,
               c.username || ' · ' || d.title AS label,
               a.started_at, a.live_seconds, a.covered_seconds, a.coverage_ratio,
               a.samples, a.null_samples, a.messages, a.peak_viewers, a.average_viewers
        FROM stream_analytics AS a
        JOIN dim_streams AS d ON d.stream_id = a.stream_id AND d.valid_to IS NULL
        JOIN dim_channels AS c ON c.channel_id = a.channel_id AND c.valid_to IS NULL
        WHERE a.samples > 0
        ORDER BY a.peak_viewers DESC NULLS LAST, a.stream_id
        """
    ).pl()
    return (streams,)


@app.cell
def _(mo, streams):
    names = [
        f"{label} ({at:%Y-%m-%d})" for label, at in streams.select("label", "started_at").rows()
    ]
    # two streams of one name on one day are still two choices
    options = {
        name if names.count(name) == 1 else f"{name} {stream_id[-4:]}": stream_id
        for name, stream_id in zip(names, streams["stream_id"], strict=True)
    }
    chosen = mo.ui.dropdown(options, value=next(iter(options), None), label="Stream")
    empty = mo.callout(
        mo.md(
            """
            **No stream has numbers yet.** Import some, and compute them:

            ```
            aethex import viewers FILE --channel NAME --stream TITLE
            aethex pipeline refresh
            ```

            Then run this notebook again. `make up` also loads demo streams.
            """
        ),
        kind="info",
    )
    heading = mo.md(
        "# Three questions\nWhich parts held their audience, when chat burst, and how much of each "
        "stream was measured at all. What each number means: `docs/metrics.md`."
    )
    mo.vstack([heading, chosen if options else empty])
    return (chosen,)


@app.cell
def _(chosen, con):
    # The first and the last fifth of each segment, by its samples: how many stayed?
    held = con.execute(
        """
        WITH inside AS (
            SELECT g.segment_id, g.position, g.title, g.average_viewers, g.live_seconds, s.viewers,
                   (epoch(s.sampled_at) - epoch(g.started_at))
                       / (epoch(g.ended_at) - epoch(g.started_at)) AS place
            FROM segment_analytics AS g
            JOIN stream_samples AS s
              ON s.stream_day = g.stream_day AND s.stream_id = g.stream_id
             AND s.sampled_at >= g.started_at AND s.sampled_at < g.ended_at
            WHERE g.stream_id = $stream_id AND g.coverage_ratio >= 0.5 AND s.viewers IS NOT NULL
        )
        SELECT position, title, average_viewers, live_seconds,
               avg(viewers) FILTER (WHERE place < 0.2) AS viewers_first,
               avg(viewers) FILTER (WHERE place >= 0.8) AS viewers_last,
               viewers_last / nullif(viewers_first, 0) AS held_ratio
        FROM inside
        GROUP BY segment_id, position, title, average_viewers, live_seconds
        HAVING held_ratio IS NOT NULL AND count(*) >= 5
        ORDER BY held_ratio DESC, position
        """,
        {"stream_id": chosen.value},
    ).pl()
    return (held,)


@app.cell
def _(accent, warm, alt, chosen, held, mo):
    if chosen.value is None:
        answer_held = mo.md("")
    elif held.is_empty():
        answer_held = mo.callout(
            mo.md(
                "This stream has no segments with enough samples: `aethex import segments FILE`."
            ),
            kind="neutral",
        )
    else:
        _best, _worst = held.head(10), held.tail(min(5, max(len(held) - 10, 0)))
        _shown = _best.vstack(_worst)
        _bars = (
            alt.Chart(_shown)
            .mark_bar(cornerRadiusEnd=3)
            .encode(
                x=alt.X(
                    "held_ratio:Q",
                    title="viewers at the end / at the start",
                    axis=alt.Axis(format="%"),
                ),
                y=alt.Y(
                    "title:N",
                    sort=_shown["title"].to_list(),
                    title=None,
                    axis=alt.Axis(labelLimit=260),
                ),
                color=alt.condition("datum.held_ratio >= 1", alt.value(accent), alt.value(warm)),
                tooltip=[
                    alt.Tooltip("title:N"),
                    alt.Tooltip("held_ratio:Q", format=".0%", title="held"),
                    alt.Tooltip("viewers_first:Q", format=",.0f", title="first fifth"),
                    alt.Tooltip("viewers_last:Q", format=",.0f", title="last fifth"),
                    alt.Tooltip("average_viewers:Q", format=",.0f", title="average"),
                ],
            )
            .properties(width="container", height=alt.Step(20))
        )
        _first = held.row(0, named=True)
        _kept = "its last fifth had {held_ratio:.0%} of the viewers of its first ".format(**_first)
        _kept += "({viewers_first:,.0f} → {viewers_last:,.0f})".format(**_first)
        answer_held = mo.vstack(
            [
                mo.md(
                    f"**{_first['title']}** held best: {_kept}. "
                    f"Of {len(held)} segments, the best ten and the last five:"
                ),
                _bars,
            ]
        )
    mo.vstack([mo.md("## 1. Which segments held the audience best?"), answer_held])
    return


@app.cell
def _(chosen, con):
    # Messages a minute per thousand viewers. A burst: minutes in a row above three times the
    # median.
    rates_sql = """
        WITH rates AS (
            SELECT minute_at, messages, messages * 1000.0 / average_viewers AS rate
            FROM stream_minutes
            WHERE stream_id = $stream_id AND messages IS NOT NULL AND average_viewers > 0
        ),
        marked AS (
            SELECT *, rate > 3 * median(rate) OVER () AND messages >= 5 AS is_burst FROM rates
        )
    """
    # a chart takes at most about 600 points: of each stretch its highest minute
    rates = con.execute(
        rates_sql
        + """
        , numbered AS (
            SELECT *, ntile(600) OVER (ORDER BY minute_at) AS stretch FROM marked
        )
        SELECT arg_max(minute_at, rate) AS minute_at, max(rate) AS rate
        FROM numbered GROUP BY stretch ORDER BY minute_at
        """,
        {"stream_id": chosen.value},
    ).pl()
    bursts = con.execute(
        rates_sql
        + """
        , runs AS (
            SELECT *, count(*) FILTER (WHERE NOT is_burst) OVER (
                ORDER BY minute_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
            FROM marked
        ),
        found AS (
            SELECT arg_max(minute_at, rate) AS peak_at, max(rate) AS per_1000_viewers,
                   count(*) AS minutes, sum(messages)::BIGINT AS messages
            FROM runs WHERE is_burst GROUP BY run
        )
        SELECT f.peak_at, f.per_1000_viewers, f.minutes, f.messages, g.title AS segment
        FROM found AS f
        LEFT JOIN segment_analytics AS g
          ON g.stream_id = $stream_id AND f.peak_at >= g.started_at AND f.peak_at < g.ended_at
        QUALIFY row_number() OVER (PARTITION BY f.peak_at ORDER BY g.position) = 1
        ORDER BY f.per_1000_viewers DESC, f.peak_at
        LIMIT 8
        """,
        {"stream_id": chosen.value},
    ).pl()
    return bursts, rates


@app.cell
def _(quiet, warm, alt, bursts, chosen, mo, rates):
    if chosen.value is None:
        answer_bursts = mo.md("")
    elif rates.is_empty():
        answer_bursts = mo.callout(
            mo.md("Chat was not measured in this stream (`--chat-field` names it at import)."),
            kind="neutral",
        )
    else:
        _line = (
            alt.Chart(rates)
            .mark_area(color=quiet, opacity=0.35, line={"color": quiet, "strokeWidth": 1})
            .encode(
                x=alt.X("minute_at:T", title=None),
                y=alt.Y("rate:Q", title="messages a minute per 1,000 viewers"),
            )
        )
        _marks = (
            alt.Chart(bursts)
            .mark_point(size=70, filled=True, color=warm, opacity=1)
            .encode(
                x="peak_at:T",
                y="per_1000_viewers:Q",
                tooltip=[
                    alt.Tooltip("peak_at:T", format="%d %b %H:%M", title="at (UTC)"),
                    alt.Tooltip("per_1000_viewers:Q", format=".1f", title="per 1,000 viewers"),
                    alt.Tooltip("messages:Q", format=",", title="messages"),
                    alt.Tooltip("segment:N"),
                ],
            )
        )
        _first = bursts.row(0, named=True) if len(bursts) else None
        answer_bursts = mo.vstack(
            [
                mo.md(
                    f"The strongest burst came at **{_first['peak_at']:%d %b %H:%M}** UTC"
                    f"{' in ' + _first['segment'] if _first['segment'] else ''}: "
                    f"{_first['per_1000_viewers']:,.1f} messages a minute per 1,000 viewers."
                    if _first
                    else "Chat never rose above three times its median."
                ),
                (_line + _marks).properties(width="container", height=220),
                mo.ui.table(
                    bursts,
                    selection=None,
                    show_column_summaries=False,
                    format_mapping={"per_1000_viewers": "{:,.1f}", "messages": "{:,.0f}"},
                ),
            ]
        )
    mo.vstack([mo.md("## 2. When does chat burst, relative to viewers?"), answer_bursts])
    return


@app.cell
def _(con, streams):
    # The longest stretches of each stream in which no count held.
    gaps = con.execute(
        """
        WITH counts AS (
            SELECT s.stream_id, s.hold_until AS begins_at,
                   lead(s.sampled_at) OVER (PARTITION BY s.stream_id ORDER BY s.sampled_at) AS
                   next_at, a.ended_at
            FROM stream_samples AS s
            JOIN stream_analytics AS a ON a.stream_id = s.stream_id
            WHERE s.viewers IS NOT NULL
        )
        SELECT d.title AS stream, begins_at,
               (epoch(coalesce(next_at, counts.ended_at)) - epoch(begins_at)) / 60 AS minutes
        FROM counts
        JOIN dim_streams AS d ON d.stream_id = counts.stream_id AND d.valid_to IS NULL
        WHERE coalesce(next_at, counts.ended_at) > begins_at
        ORDER BY minutes DESC, stream, begins_at
        LIMIT 8
        """
    ).pl()
    completeness = streams.select(
        "label", "live_seconds", "covered_seconds", "coverage_ratio", "samples", "null_samples"
    ).sort("coverage_ratio", "label")
    return completeness, gaps


@app.cell
def _(accent, quiet, alt, completeness, gaps, mo):
    if completeness.is_empty():
        answer_complete = mo.md("")
    else:
        _shown = completeness.head(25)
        _height = alt.Step(22)
        _axis = alt.Y(
            "label:N", sort=_shown["label"].to_list(), title=None, axis=alt.Axis(labelLimit=260)
        )
        _all = alt.Chart(_shown).mark_bar(color=quiet, opacity=0.25).encode(y=_axis, x=alt.datum(1))
        _bars = (
            alt.Chart(_shown)
            .mark_bar(color=accent)
            .encode(
                y=_axis,
                x=alt.X(
                    "coverage_ratio:Q",
                    title="share of live time with a viewer count",
                    axis=alt.Axis(format="%"),
                    scale=alt.Scale(domain=[0, 1]),
                ),
                tooltip=[
                    alt.Tooltip("label:N", title="stream"),
                    alt.Tooltip("coverage_ratio:Q", format=".2%", title="covered"),
                    alt.Tooltip("samples:Q", format=",", title="samples"),
                    alt.Tooltip("null_samples:Q", format=",", title="failed polls"),
                ],
            )
        )
        _worst = completeness.row(0, named=True)
        _missing = (_worst["live_seconds"] - _worst["covered_seconds"]) / 60
        _covered = f"{_worst['coverage_ratio']:.2%} is covered, {_missing:,.0f} minutes are not"
        _failed = f"{_worst['null_samples']:,} of {_worst['samples']:,} polls failed"
        answer_complete = mo.vstack(
            [
                mo.md(
                    f"**{_worst['label']}** is the least complete: {_covered}, and {_failed}. "
                    "Averages leave those minutes out."
                ),
                (_all + _bars).properties(width="container", height=_height),
                mo.md("The longest gaps:") if len(gaps) else mo.md("No stream has a gap."),
                mo.ui.table(
                    gaps,
                    selection=None,
                    show_column_summaries=False,
                    format_mapping={"minutes": "{:,.1f}"},
                )
                if len(gaps)
                else mo.md(""),
            ]
        )
    mo.vstack([mo.md("## 3. How complete is each stream's data?"), answer_complete])
    return


if __name__ == "__main__":
    app.run()
