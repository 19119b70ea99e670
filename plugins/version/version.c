/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0092: tells what software the server is. */
#include <meerkat/plugin.h>
#include <stdio.h>
#include <sys/utsname.h>

#define NS "jabber:iq:version"
#define VERSION "1.0" /* of the server and of this plugin, which come together */

struct version {
    const char *name;
    bool show_os;
    char os[160]; /* filled at start */
};

static int on_version(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct version *me = mk_inst(c);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_leaf(o, "name", NULL, me->name);
    mk_leaf(o, "version", NULL, VERSION);
    if (me->show_os && me->os[0])
        mk_leaf(o, "os", NULL, me->os);
    return mk_send(o);
}

static int start(void *inst, struct mk_err *err) {
    struct version *me = inst;
    struct utsname u;
    (void)err;
    if (uname(&u) == 0)
        snprintf(me->os, sizeof me->os, "%s %s", u.sysname, u.release);
    return MK_OK;
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct version, name, "Meerkat", MK_OPT_LIVE, "Name of the software that is told."),
    MK_OPT_BOOL(struct version, show_os, "false", MK_OPT_LIVE,
                "Whether name and release of the operating system are told too. That helps attackers to choose."),
};
static const struct mk_iq_decl iqs[] = {
    { "query", NS, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_version },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0092", "1.1", "complete", "" },
};

MK_PLUGIN(version, .version = VERSION, .summary = "Tells the server's software (XEP-0092)",
          .inst_size = sizeof(struct version), .options = MK_TABLE(options), .iqs = MK_TABLE(iqs),
          .disco = MK_TABLE(disco), .xeps = MK_TABLE(xeps), .start = start);
