/* SPDX-License-Identifier: Apache-2.0 */
/* A search for words without an index: a word is a run of letters and digits, as Unicode has them. */
#include "rowset.h"
#include <string.h>
#include <wctype.h>

enum { WORD_MAX = 64 };

struct word {
    uint32_t letters[WORD_MAX]; /* in lower case; what is longer is compared by its beginning */
    uint32_t count;
};

static bool is_letter(uint32_t c, locale_t unicode) {
    if (!unicode)
        return c >= 0x80 || (c >= '0' && c <= '9') || (c | 32u) - 'a' < 26;
    return iswalnum_l((wint_t)c, unicode);
}

static uint32_t lower(uint32_t c, locale_t unicode) {
    if (!unicode)
        return c - 'A' < 26 ? c + 32 : c;
    return (uint32_t)towlower_l((wint_t)c, unicode);
}

/* The text was checked when it came in: no sequence is broken. */
static uint32_t next_char(struct mk_view *at) {
    const unsigned char *s = (const unsigned char *)at->s;
    size_t more = s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;
    if (more >= at->len)
        more = at->len - 1;
    uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];
    for (size_t i = 1; i <= more; i++)
        c = c << 6 | (s[i] & 0x3fu);
    at->s += more + 1;
    at->len -= more + 1;
    return c;
}

static bool next_word(struct mk_view *at, struct word *word, locale_t unicode) {
    word->count = 0;
    while (at->len) {
        uint32_t c = next_char(at);
        if (is_letter(c, unicode)) {
            if (word->count < WORD_MAX)
                word->letters[word->count++] = lower(c, unicode);
        } else if (word->count) {
            return true;
        }
    }
    return word->count > 0;
}

static bool has_word(struct mk_view text, const struct word *word, locale_t unicode) {
    struct word w;
    while (next_word(&text, &w, unicode))
        if (w.count == word->count && memcmp(w.letters, word->letters, w.count * sizeof w.letters[0]) == 0)
            return true;
    return false;
}

bool has_words(struct mk_view text, const char *words, locale_t unicode) {
    struct mk_view at = { words, strlen(words) };
    struct word word;
    bool any = false;
    while (next_word(&at, &word, unicode)) {
        if (!has_word(text, &word, unicode))
            return false;
        any = true;
    }
    return any;
}
