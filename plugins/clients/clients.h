/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share: its instance, and a client as it is stored. */
#ifndef CLIENTS_CLIENTS_H
#define CLIENTS_CLIENTS_H

#include <meerkat/plugin.h>
#include <meerkat/sasl.h>

#define NS_FAST "urn:xmpp:fast:0"
#define NS_CAM "urn:xmpp:cam:0"

struct clients {
    int64_t token_lifetime, rotate_before, forget_after, max_clients;
    bool tokens, names;
    const struct mk_coll *clients;
};

enum {
    COL_OWNER,
    COL_ID,
    COL_VERSION,
    COL_SOFTWARE,
    COL_DEVICE,
    COL_FIRST_SEEN,
    COL_LAST_SEEN,
    COL_METHODS,
    COL_NEW_TOKEN,
    COL_NEW_MECHANISM,
    COL_NEW_EXPIRES,
    COL_TOKEN,
    COL_MECHANISM,
    COL_TOKEN_EXPIRES,
    COL_COUNT,
    COL_EXPIRES,
    COL_COUNT_
};

/* How a client has proved who it is: bits of COL_METHODS. */
enum { BY_PASSWORD = 1, BY_TOKEN = 2 };
enum { M_ISSUED, M_LOGINS, M_REVOKED };

/* TEXT NULL: there is none. */
struct token {
    const char *text, *mechanism;
    int64_t expires;
};
/* Texts are the turn's.  VERSION is 0 if the client is not stored. */
struct client {
    const char *id, *software, *device;
    int64_t version, first_seen, last_seen, methods;
    struct token fresh, current; /* FRESH was given out, and has not been used yet */
    int64_t count;               /* the highest that came with CURRENT */
};

/* What the account knows the installation by; its own id can't be read from it. */
const char *client_id(struct mk_ctx *c, const struct mk_jid *account, const struct mk_agent *agent);
/* 0, also if there is none; or an error. */
MK_SUSPENDS int client_get(struct mk_ctx *c, const struct mk_jid *account, const char *id, struct client *out);
/* Stores it if it is still as it was read, durably.  MK_E_CONFLICT if it is not. */
MK_SUSPENDS int client_put(struct mk_ctx *c, const struct mk_jid *account, struct client *client);
void client_read(const struct mk_row *row, struct client *out);

/* tokens.c: XEP-0484 */
extern const struct mk_mechanism_decl token_mechanisms[4];
void tokens_put_offer(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o);
/* Gives CLIENT a token if it wants one or its own is about to expire; true if it did. */
bool tokens_renew(struct mk_ctx *c, const struct mk_inline *in, struct client *client);
void tokens_answer(struct mk_ctx *c, const struct mk_inline *in, const struct client *client);

/* access.c: XEP-0494, and the operator's commands */
MK_SUSPENDS int access_list(struct mk_ctx *c, const struct mk_stanza *iq);
MK_SUSPENDS int access_revoke(struct mk_ctx *c, const struct mk_stanza *iq);
extern const struct mk_cmd_decl access_commands[2];

#endif
