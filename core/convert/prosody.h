/* SPDX-License-Identifier: Apache-2.0 */
/* What Prosody's files and its tables have in common: the values of its stores. */
#ifndef CONVERT_PROSODY_H
#define CONVERT_PROSODY_H

#include "convert/lua.h"
#include "util/text.h"

struct prosody {
    const char *folder;
    char *host;         /* as its folder is named */
    char *domain;       /* OWNED; what that stands for */
    const char *user;   /* as its files are named */
    char *name;         /* OWNED; of the account */
    struct arena arena; /* of one value */
    bool failed;
};

/* Stores of one value an account; each adds elements of a dump. */
enum { PROSODY_STORES = 4 };
struct prosody_store {
    const char *name;
    void (*put)(struct prosody *job, const struct lua_value *v, struct buf *out);
};
extern const struct prosody_store prosody_stores[PROSODY_STORES];

/* Begins <user/>. */
void prosody_account(struct prosody *job, const struct lua_value *v, struct buf *out);

bool prosody_sql(const char *url);

#endif
