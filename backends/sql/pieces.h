/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of statements, inside the library. */
#ifndef SQL_PIECES_H
#define SQL_PIECES_H

#include "sql.h"

void sql_names(struct sql_text *s, const struct sql_table *t, const uint32_t *cols, uint32_t count);
void sql_marks(struct sql_text *s, const struct sql_table *t, uint32_t count); /* (?,?) */
void sql_where_key(struct sql_text *s, const struct sql_table *t);             /*  WHERE "a"=? AND "b"=? */
/*  AND "_part"=..., of parted tables; its placeholders are those of the partition */
void sql_in_part(struct sql_text *s, const struct sql_table *t, const char *op);
void sql_visible(struct sql_text *s, const struct sql_table *t);     /*  AND ("ttl" IS NULL OR "ttl">?) */
void sql_set_marks(struct sql_text *s, const struct sql_table *t);   /*  SET "c"=?, all but the key */
void sql_insert_head(struct sql_text *s, const struct sql_table *t); /* INSERT INTO "t"("a","b")VALUES */
void sql_upsert_tail(struct sql_text *s, const struct sql_table *t);
void sql_part_mark(struct sql_text *s, const struct sql_part *part, const struct sql_parts_how *how);
bool sql_in_key(const struct sql_table *t, unsigned col);
/* Whether an index of these columns may pass index_bytes. */
bool sql_too_wide(const struct sql_table *t, const uint32_t *cols, uint32_t count);

#endif
