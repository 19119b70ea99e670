/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0202: tells the server's time and its offset from UTC. */
#include <meerkat/plugin.h>
#include <stdlib.h>
#include <time.h>

#define NS "urn:xmpp:time"

/* "+hh:mm" or "-hh:mm". */
static const char *zone_text(struct mk_ctx *c, long seconds) {
    long minutes = labs(seconds) / 60;
    return mk_printf(c, "%c%02ld:%02ld", seconds < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

static int on_time(struct mk_ctx *c, const struct mk_stanza *iq) {
    int64_t now = mk_now(c);
    time_t seconds = (time_t)(now / 1000000);
    struct tm local;
    localtime_r(&seconds, &local);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "time", NS);
    mk_leaf(o, "tzo", NULL, zone_text(c, local.tm_gmtoff));
    mk_leaf(o, "utc", NULL, mk_time_text(c, now));
    return mk_send(o);
}

/* The zone is read from a file, once: here, where it may block. */
static int start(void *inst, struct mk_err *err) {
    (void)inst;
    (void)err;
    tzset();
    return MK_OK;
}

static const struct mk_iq_decl iqs[] = {
    { "time", NS, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_time },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0202", "2.0", "complete", "" },
};

MK_PLUGIN(time, .version = "1.0", .summary = "Tells the server's time (XEP-0202)", .iqs = MK_TABLE(iqs),
          .disco = MK_TABLE(disco), .xeps = MK_TABLE(xeps), .start = start);
