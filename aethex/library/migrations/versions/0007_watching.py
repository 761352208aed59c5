"""Watching: how far people came, and finding VODs.

Revision: 0007, after 0006.

`vod_search_vector` folds what is searched: small letters, without accents (the NFKD form without
its combining marks), and punctuation is space. It is immutable and needs no extension, so that a
generated column may use it. `aethex.library.finding` folds queries alike.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Of a description the first 20,000 characters are found: a tsvector has an upper size.
_VECTOR = r"""
create function vod_search_vector(title text, description text) returns tsvector
language sql immutable parallel safe as $$
    select setweight(to_tsvector('pg_catalog.simple', regexp_replace(regexp_replace(
               lower(normalize(title, NFKD)),
               '[\u0300-\u036f]', '', 'g'),
               '[\u0001-/:-@\[-`{-\u00bf\u2000-\u206f\u3000-\u303f]+', ' ', 'g')), 'A')
        || setweight(to_tsvector('pg_catalog.simple', regexp_replace(regexp_replace(
               lower(normalize(left(description, 20000), NFKD)),
               '[\u0300-\u036f]', '', 'g'),
               '[\u0001-/:-@\[-`{-\u00bf\u2000-\u206f\u3000-\u303f]+', ' ', 'g')), 'B')
$$
"""


def upgrade() -> None:
    _search()
    _progress()


def downgrade() -> None:
    op.drop_index(op.f("ix_watch_progress_vod_id"), table_name="watch_progress")
    op.drop_index("ix_watch_progress_removed", table_name="watch_progress")
    op.drop_index("ix_watch_progress_history", table_name="watch_progress")
    op.drop_table("watch_progress")
    op.drop_index("ix_vods_search", table_name="vods", postgresql_using="gin")
    op.drop_column("vods", "search_vector")
    op.execute("drop function vod_search_vector(text, text)")


def _search() -> None:
    op.execute(_VECTOR)
    op.add_column(
        "vods",
        sa.Column(
            "search_vector",
            postgresql.TSVECTOR(),
            sa.Computed("vod_search_vector(title, description)", persisted=True),
            nullable=False,
        ),
    )
    op.create_index(
        "ix_vods_search", "vods", ["search_vector"], unique=False, postgresql_using="gin"
    )


def _progress() -> None:
    op.create_table(
        "watch_progress",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("vod_id", sa.Text(), nullable=False),
        sa.Column("position_ms", sa.BigInteger(), nullable=False),
        sa.Column("client_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("position_ms >= 0", name=op.f("ck_watch_progress_position_counts")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_watch_progress_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["vod_id"], ["vods.id"], name=op.f("fk_watch_progress_vod_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "vod_id", name=op.f("pk_watch_progress")),
    )
    op.create_index(
        "ix_watch_progress_history",
        "watch_progress",
        ["user_id", sa.text("client_at desc"), sa.text("vod_id desc")],
        unique=False,
        postgresql_where=sa.text("removed_at is null"),
    )
    op.create_index(
        "ix_watch_progress_removed",
        "watch_progress",
        ["removed_at"],
        unique=False,
        postgresql_where=sa.text("removed_at is not null"),
    )
    op.create_index(op.f("ix_watch_progress_vod_id"), "watch_progress", ["vod_id"], unique=False)
