/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"

static void put_type(struct buf *out, const struct mk_opt_decl *row) {
    static const char *const names[] = {
        [MK_T_BOOL] = "true or false", [MK_T_INT] = "number", [MK_T_DURATION] = "duration",   [MK_T_SIZE] = "size",
        [MK_T_TEXT] = "text",          [MK_T_JID] = "JID",    [MK_T_TEXTS] = "list of texts", [MK_T_FILE] = "file",
    };
    if (row->type != MK_T_ENUM) {
        buf_puts(out, names[row->type]);
        return;
    }
    for (size_t i = 0; row->names[i]; i++)
        buf_printf(out, "%s`%s`", i == 0 ? "" : row->names[i + 1] ? ", " : " or ", row->names[i]);
}

static void put_range(struct buf *out, const struct mk_opt_decl *row) {
    if (row->type != MK_T_INT && row->type != MK_T_DURATION && row->type != MK_T_SIZE)
        return;
    amount_write(out, row->type, row->min);
    buf_puts(out, " to ");
    amount_write(out, row->type, row->max);
}

/* In a cell a bar would end it. */
static void put_prose(struct buf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|')
            buf_puts(out, "\\");
        buf_add(out, text, 1);
    }
}

void conf_manual(struct buf *out, const struct mk_table *rows) {
    buf_puts(out, "| Option | Type | Default | Range | Reload | Meaning |\n|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct mk_opt_decl *row =
            (const struct mk_opt_decl *)((const char *)rows->items + (size_t)i * rows->stride);
        buf_printf(out, "| `%s` | ", row->name);
        put_type(out, row);
        if (row->flags & MK_OPT_REQUIRED)
            buf_puts(out, " | required | ");
        else if (row->dflt && *row->dflt)
            buf_printf(out, " | `%s` | ", row->dflt);
        else
            buf_puts(out, " | none | ");
        put_range(out, row);
        buf_printf(out, " | %s | ", row->flags & MK_OPT_LIVE ? "live" : "restart");
        put_prose(out, row->doc);
        if (row->flags & MK_OPT_SECRET)
            buf_puts(out, " Secret: may be given as `file:PATH` or `env:NAME`.");
        buf_puts(out, " |\n");
    }
}
