/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a <PHOTO/>. */
#include "vcard.h"
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

static const struct kind {
    const char *type, *magic;
    size_t at, len;
} kinds[] = {
    { "image/png", "\x89PNG\r\n\x1a\n", 0, 8 },
    { "image/jpeg", "\xff\xd8\xff", 0, 3 },
    { "image/gif", "GIF8", 0, 4 },
    { "image/webp", "WEBP", 8, 4 },
};

static int value_of(char ch) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = ch ? strchr(alphabet, ch) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* Base64 with white space anywhere.  False if it is none. */
static bool decode(const char *text, unsigned char *out, size_t *len) {
    uint32_t bits = 0;
    unsigned count = 0, padding = 0;
    *len = 0;
    for (; *text; text++) {
        if (strchr(" \t\r\n", *text))
            continue;
        int value = value_of(*text);
        if (*text == '=' && count % 4 >= 2) {
            count++;
            padding++;
            continue;
        }
        if (value < 0 || padding)
            return false;
        bits = bits << 6 | (uint32_t)value;
        /* The second, third and fourth of four characters complete a byte; 4, 2 and 0 bits are left over. */
        unsigned place = count++ % 4;
        if (place)
            out[(*len)++] = (unsigned char)(bits >> (6 - 2 * place));
    }
    return count % 4 == 0 && padding <= 2;
}

static bool is_allowed(const struct vcard *me, const char *type) {
    for (uint32_t i = 0; i < me->photo_types.count; i++)
        if (strcmp(me->photo_types.items[i], type) == 0)
            return true;
    return me->photo_types.count == 0;
}

static bool is_known(const struct vcard *me, const unsigned char *data, size_t len) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (len >= kinds[i].at + kinds[i].len && memcmp(data + kinds[i].at, kinds[i].magic, kinds[i].len) == 0)
            return is_allowed(me, kinds[i].type);
    return false;
}

static const char *hash_of(struct mk_ctx *c, const unsigned char *data, size_t len) {
    unsigned char sum[20];
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, data, len, sum) != 0)
        return NULL;
    char *text = mk_alloc(c, 2 * sizeof sum + 1);
    for (size_t i = 0; i < sizeof sum; i++)
        sprintf(text + 2 * i, "%02x", sum[i]);
    return text;
}

static int check_one(struct mk_ctx *c, const struct mk_elem *photo, const char **hash) {
    const struct vcard *me = mk_inst(c);
    const char *text = vcard_text(c, photo, "BINVAL");
    size_t len = strlen(text);
    *hash = NULL;
    if (text[strspn(text, " \t\r\n")] == '\0')
        return MK_OK;
    unsigned char *data = mk_alloc(c, len + 1);
    if (!decode(text, data, &len))
        return MK_E_INVALID;
    if (len > (size_t)me->max_photo)
        return MK_E_LIMIT;
    if (!is_known(me, data, len))
        return MK_E_INVALID;
    *hash = hash_of(c, data, len);
    return *hash ? MK_OK : MK_E_BACKEND;
}

int photo_check(struct mk_ctx *c, const struct mk_elem *vcard, const char **hash) {
    *hash = NULL;
    for (const struct mk_elem *e = mk_elem_first(vcard); e; e = mk_elem_next(e)) {
        const char *one;
        if (!mk_elem_is(e, "PHOTO", MK_NS_VCARD))
            continue;
        int rc = check_one(c, e, &one);
        if (rc != MK_OK)
            return rc;
        *hash = *hash ? *hash : one;
    }
    return MK_OK;
}
