/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include <string.h>

/* In a cell a bar would end it. */
static void put_cell(struct buf *out, const char *text) {
    for (; text && *text; text++) {
        if (*text == '|')
            buf_puts(out, "\\");
        buf_add(out, *text == '\n' ? " " : text, 1);
    }
}

static const char *recipients(uint32_t to) {
    return to == MK_TO_SERVER ? "the server" : to == MK_TO_ACCOUNT ? "an account" : "the server, an account";
}

static void put_options(struct buf *out, const struct mk_plugin *d) {
    buf_puts(out, "\n## Options\n\n");
    if (d->options.count)
        conf_manual(out, &d->options);
    else
        buf_puts(out, "None of its own.\n");
}

static void put_iqs(struct buf *out, const struct mk_plugin *d) {
    const struct mk_iq_decl *rows = d->iqs.items;
    if (d->iqs.count)
        buf_puts(out,
                 "\n## Queries it answers\n\n| Element | Namespace | To | Types | Asker |\n|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < d->iqs.count; i++)
        buf_printf(out, "| `%s` | `%s` | %s | %s | %s |\n", rows[i].name, rows[i].ns, recipients(rows[i].to),
                   rows[i].types == MK_GET   ? "get"
                   : rows[i].types == MK_SET ? "set"
                                             : "get, set",
                   rows[i].flags & MK_OWNER ? "the account itself" : "anybody");
}

static void put_inlines(struct buf *out, const struct mk_plugin *d) {
    const struct mk_inline_decl *rows = d->inlines.items;
    if (d->inlines.count)
        buf_puts(out, "\n## Inline features\n\n| Element | Namespace | In | Order |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < d->inlines.count; i++)
        buf_printf(out, "| %s%s%s | %s%s%s | %s | %d |\n", rows[i].name ? "`" : "", rows[i].name ? rows[i].name : "any",
                   rows[i].name ? "`" : "", rows[i].ns ? "`" : "", rows[i].ns ? rows[i].ns : "", rows[i].ns ? "`" : "",
                   rows[i].at == MK_AT_LOGIN ? "SASL2" : "Bind 2", rows[i].prio);
}

static void put_domains(struct buf *out, const struct mk_plugin *d) {
    const struct mk_domain_decl *rows = d->domains.items;
    if (d->domains.count)
        buf_puts(out, "\n## Domains\n\n");
    for (uint32_t i = 0; i < d->domains.count; i++)
        buf_printf(out, "- that of the option `%s`%s\n", rows[i].option,
                   rows[i].room ? ", with the addresses in it" : "");
}

static void put_hooks(struct buf *out, const struct mk_plugin *d) {
    const struct mk_hook_decl *rows = d->hooks.items;
    if (d->hooks.count)
        buf_puts(out, "\n## Hooks\n\n| Hook | Order | May wait |\n|---|---|---|\n");
    for (uint32_t i = 0; i < d->hooks.count; i++)
        buf_printf(out, "| `%s` | %d | %s |\n", hook_name(rows[i].hook), rows[i].prio,
                   rows[i].mode == MK_SERIAL ? "yes" : "no");
}

static void put_args(struct buf *out, const struct mk_table *t, const char *title) {
    const struct mk_arg_decl *rows = t->items;
    if (t->count)
        buf_printf(out, "\n%s:\n\n", title);
    for (uint32_t i = 0; i < t->count; i++)
        buf_printf(out, "- `%s`%s: %s\n", rows[i].name, rows[i].flags & MK_ARG_OPTIONAL ? " (optional)" : "",
                   rows[i].doc);
}

static void put_commands(struct buf *out, const struct mk_plugin *d) {
    const struct mk_cmd_decl *rows = d->commands.items;
    if (d->commands.count)
        buf_puts(out, "\n## Commands\n");
    for (uint32_t i = 0; i < d->commands.count; i++) {
        buf_printf(out, "\n### `%s`\n\n%s.%s\n", rows[i].name, rows[i].summary,
                   rows[i].flags & MK_CMD_WRITE ? "" : "  Changes nothing.");
        if (rows[i].rest && *rows[i].rest)
            buf_printf(out, "\nOver HTTP: `%s`\n", rows[i].rest);
        put_args(out, &rows[i].args, "Arguments");
        put_args(out, &rows[i].results, "Results");
    }
}

static void put_metrics(struct buf *out, const struct mk_plugin *d) {
    static const char *const kinds[] = { [MK_COUNTER] = "counter", [MK_GAUGE] = "gauge", [MK_HISTOGRAM] = "histogram" };
    const struct mk_metric_decl *rows = d->metrics.items;
    if (d->metrics.count)
        buf_puts(out, "\n## Metrics\n\n| Metric | Kind | Unit | Meaning |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < d->metrics.count; i++) {
        buf_printf(out, "| `meerkat_%s_%s` | %s | %s | ", d->name, rows[i].name, kinds[rows[i].kind], rows[i].unit);
        put_cell(out, rows[i].help);
        buf_puts(out, " |\n");
    }
}

static void put_collections(struct buf *out, const struct mk_plugin *d) {
    static const char *const types[] = { [MK_C_TEXT] = "text", [MK_C_BYTES] = "bytes", [MK_C_INT] = "int",
                                         [MK_C_TIME] = "time", [MK_C_BOOL] = "bool",   [MK_C_JID] = "jid" };
    const struct mk_coll_decl *rows = d->collections.items;
    if (d->collections.count)
        buf_puts(out, "\n## What it stores\n");
    for (uint32_t i = 0; i < d->collections.count; i++) {
        const struct mk_col_decl *cols = rows[i].cols.items;
        buf_printf(out, "\n`%s`, version %u: %s\n\n| Column | Type | Key | Meaning |\n|---|---|---|---|\n",
                   rows[i].name, rows[i].version, rows[i].doc);
        for (uint32_t k = 0; k < rows[i].cols.count; k++) {
            buf_printf(out, "| `%s` | %s%s | %s | ", cols[k].name, types[cols[k].type],
                       cols[k].flags & MK_COL_NULL ? " or null" : "",
                       cols[k].flags & MK_COL_PARTITION ? "partition"
                       : cols[k].flags & MK_COL_SORT    ? "sort"
                                                        : "");
            put_cell(out, cols[k].doc);
            buf_puts(out, " |\n");
        }
    }
}

static void put_services(struct buf *out, const struct mk_plugin *d) {
    const struct mk_need_decl *needs = d->needs.items;
    const struct mk_provide_decl *provides = d->provides.items;
    if (d->needs.count || d->provides.count)
        buf_puts(out, "\n## Interfaces\n\n");
    for (uint32_t i = 0; i < d->provides.count; i++)
        buf_printf(out, "- provides `%s` %u.%u%s%s\n", provides[i].iface, provides[i].major, provides[i].minor,
                   provides[i].doc ? ": " : "", provides[i].doc ? provides[i].doc : "");
    for (uint32_t i = 0; i < d->needs.count; i++) {
        buf_printf(out, "- %s `%s` %u.%u", needs[i].flags == MK_NEED_HARD ? "needs" : "uses", needs[i].iface,
                   needs[i].major, needs[i].minor);
        if (needs[i].pick)
            buf_printf(out, ", chosen by the option `%s`", needs[i].pick);
        buf_puts(out, needs[i].flags == MK_NEED_HARD ? "\n" : ", if there is one\n");
    }
}

/* What the server does itself. */
static const struct mk_xep_decl core_xeps[] = {
    { "0114", "1.6", "complete", "" },
    { "0175", "1.2", "complete", "" },
    { "0178", "1.2", "complete", "Of servers." },
    { "0185", "1.0", "complete", "" },
    { "0198", "1.6.3", "complete", "Of servers." },
    { "0220", "1.1.1", "complete", "" },
    { "0288", "1.0.1", "complete", "" },
    { "0344", "0.4", "partial", "A certificate spares the question; without DNSSEC." },
    { "0368", "1.1.0", "complete", "" },
    { "0386", "1.1.0", "complete", "" },
    { "0388", "1.0.4", "partial", "Without tasks." },
    { "0440", "1.0.0", "complete", "" },
    { "0474", "0.5.0", "complete", "" },
    { "0478", "0.2.0", "complete", "" },
    { "0515", "0.1.0", "complete", "" },
};

static void put_xeps(struct buf *out, const struct mk_table *xeps) {
    const struct mk_xep_decl *rows = xeps->items;
    if (xeps->count)
        buf_puts(out, "\n## XEPs\n\n| XEP | Version | Status | Note |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < xeps->count; i++) {
        buf_printf(out, "| [%s](https://xmpp.org/extensions/xep-%s.html) | ", rows[i].number, rows[i].number);
        put_cell(out, rows[i].version);
        buf_puts(out, " | ");
        put_cell(out, rows[i].status);
        buf_puts(out, " | ");
        put_cell(out, rows[i].note);
        buf_puts(out, " |\n");
    }
}

void manual_plugin(struct buf *out, const struct plugin *plugin) {
    const struct mk_plugin *d = &plugin->d;
    buf_printf(out, "# %s\n\n%s\n\nVersion %s; needs ABI %u.%u.  Its options stand in `%s = { %s = { ... }; };`.\n",
               d->name, d->summary, d->version, d->head.abi_major, d->head.abi_need,
               d->flags & MK_PLUGIN_GLOBAL ? "backends" : "plugins", d->name);
    put_options(out, d);
    put_iqs(out, d);
    put_inlines(out, d);
    put_domains(out, d);
    put_hooks(out, d);
    put_commands(out, d);
    put_metrics(out, d);
    put_collections(out, d);
    put_services(out, d);
    put_xeps(out, &d->xeps);
}

void manual_row(struct buf *out, const struct plugin *plugin) {
    const struct mk_xep_decl *rows = plugin->d.xeps.items;
    buf_printf(out, "| `%s` | ", plugin->d.name);
    put_cell(out, plugin->d.summary);
    buf_puts(out, " | ");
    for (uint32_t i = 0; i < plugin->d.xeps.count; i++)
        buf_printf(out, "%s%s", i ? ", " : "", rows[i].number);
    buf_puts(out, " |\n");
}

void manual_hosts(struct buf *out) {
    buf_puts(out, "## Hosts\n\n`hosts = ( { ... }, { ... } );`\n\n");
    conf_manual(out, &host_rows);
    buf_puts(out, "\n## Host types\n\n`host_types = { NAME = { ... }; };`, and in it `plugins = { ... };`, whose "
                  "groups go before "
                  "those outside.\n\n");
    conf_manual(out, &type_rows);
    buf_puts(out, "\n## Every plugin and backend\n\n");
    conf_manual(out, common_rows(true));
    const struct mk_table xeps = MK_TABLE(core_xeps);
    put_xeps(out, &xeps);
}

const struct plugin *load_only(const char *name, struct conf_errors *e) {
    struct plan p = { .e = e };
    struct module *m = module_get(&p, name, NULL);
    arena_free(&p.arena);
    return m ? &m->plugin : NULL;
}
