/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A challenge belongs to the stream that asks for the form, and is noted there: "ID\nIMAGE\nQUESTION", what the client
 * must send back, an answer being empty if that was not asked.  The image itself is noted until it is sent.
 */
#include "image.h"
#include "register.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <strings.h>

#define NOTE "register.challenge"
#define NOTE_IMAGE "register.image"
#define NS_MEDIA "urn:xmpp:media-element"
#define NS_BOB "urn:xmpp:bob"

/* ---- questions --------------------------------------------------------------------------------------------------------- */

/* Where in "What colour is snow? | white" the answer begins; NULL if there is none. */
static const char *answer_in(const char *question) {
    const char *bar = strrchr(question, '|');
    if (!bar || bar == question)
        return NULL;
    bar += 1 + strspn(bar + 1, " ");
    return *bar ? bar : NULL;
}

int challenge_check(const struct registration *me, struct mk_err *err) {
    bool asks = me->captcha == CAPTCHA_QUESTION || me->captcha == CAPTCHA_BOTH;
    if (!image_works && (me->captcha == CAPTCHA_IMAGE || me->captcha == CAPTCHA_BOTH))
        return mk_fail(err, MK_E_INVALID, "captcha wants images, but this build is without libpng");
    if (asks && !me->questions.count)
        return mk_fail(err, MK_E_INVALID, "captcha wants questions, but option questions has none");
    for (uint32_t i = 0; i < me->questions.count; i++)
        if (!answer_in(me->questions.items[i]))
            return mk_fail(err, MK_E_INVALID, "`%s` in questions is not of the form \"QUESTION | ANSWER\"",
                           me->questions.items[i]);
    return MK_OK;
}

static const char *put_question(struct mk_ctx *c, struct mk_out *form) {
    const struct registration *me = mk_inst(c);
    uint32_t random;
    mk_random(&random, sizeof random);
    const char *question = me->questions.items[random % me->questions.count], *bar = strrchr(question, '|');
    size_t len = (size_t)(bar - question);
    while (len && question[len - 1] == ' ')
        len--;
    mk_form_put(form, "qa", "text-single", mk_text_of(c, (struct mk_view){ question, len }), NULL, false);
    return answer_in(question);
}

/* ---- images ------------------------------------------------------------------------------------------------------------ */

struct drawing {
    char text[IMAGE_CHARACTERS + 1];
    uint8_t random[IMAGE_RANDOM];
    uint8_t pixels[IMAGE_WIDTH * IMAGE_HEIGHT];
    uint8_t png[IMAGE_MAX];
    size_t size;
};

static void draw(void *arg) {
    struct drawing *d = arg;
    d->size = image_draw(d->text, d->random, d->pixels, d->png);
}

static const char *cid_of(struct mk_ctx *c, const struct drawing *d) {
    uint8_t digest[20];
    char hex[41];
    size_t size = sizeof hex;
    gnutls_datum_t bytes = { digest, sizeof digest };
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, d->png, d->size, digest) < 0 || gnutls_hex_encode(&bytes, hex, &size) < 0)
        return NULL;
    return mk_printf(c, "sha1+%s@bob.xmpp.org", hex);
}

static const char *base64_of(struct mk_ctx *c, const struct drawing *d) {
    gnutls_datum_t bytes = { (unsigned char *)d->png, (unsigned)d->size }, base64;
    if (gnutls_base64_encode2(&bytes, &base64) < 0)
        return NULL;
    const char *text = mk_text_of(c, (struct mk_view){ (const char *)base64.data, base64.size });
    gnutls_free(base64.data);
    return text;
}

static const char *put_image(struct mk_ctx *c, struct mk_stream *st, struct mk_out *form) {
    struct drawing *d = mk_alloc(c, sizeof *d);
    mk_random(d->random, sizeof d->random);
    for (int i = 0; i < IMAGE_CHARACTERS; i++)
        d->text[i] = image_alphabet[d->random[IMAGE_RANDOM - 1 - i] % strlen(image_alphabet)];
    mk_on_big_stack(c, draw, d);
    const char *cid = d->size ? cid_of(c, d) : NULL, *base64 = cid ? base64_of(c, d) : NULL;
    if (!base64) {
        mk_log(c, MK_ERROR, "an image could not be made");
        return NULL;
    }
    mk_form_open(form, "ocr", "text-single", "Enter the text you see");
    mk_open(form, "media", NS_MEDIA);
    mk_put_int(form, "height", IMAGE_HEIGHT);
    mk_put_int(form, "width", IMAGE_WIDTH);
    mk_open(form, "uri", NULL);
    mk_put(form, "type", "image/png");
    mk_put_text(form, mk_printf(c, "cid:%s", cid));
    mk_close(form);
    mk_close(form);
    mk_close(form);
    mk_stream_set_note(st, NOTE_IMAGE, mk_printf(c, "%s\n%s", cid, base64));
    return d->text;
}

void challenge_put_data(struct mk_ctx *c, struct mk_stream *st, struct mk_out *query) {
    const char *note = mk_stream_note(st, NOTE_IMAGE), *line = note ? strchr(note, '\n') : NULL;
    if (!line)
        return;
    mk_open(query, "data", NS_BOB);
    mk_put(query, "cid", mk_text_of(c, (struct mk_view){ note, (size_t)(line - note) }));
    mk_put(query, "type", "image/png");
    mk_put_int(query, "max-age", 0);
    mk_put_text(query, line + 1);
    mk_close(query);
    mk_stream_set_note(st, NOTE_IMAGE, NULL);
}

/* ---- challenges -------------------------------------------------------------------------------------------------------- */

void challenge_put(struct mk_ctx *c, struct mk_stream *st, struct mk_out *form, const char *iq_id) {
    const struct registration *me = mk_inst(c);
    const char *id = mk_random_id(c), *image = NULL, *question = NULL;
    if (me->captcha == CAPTCHA_NONE)
        return;
    mk_form_put(form, "challenge", "hidden", NULL, id, false);
    mk_form_put(form, "sid", "hidden", NULL, iq_id, false);
    mk_form_put(form, "answers", "hidden", NULL, "1", false);
    if (me->captcha != CAPTCHA_QUESTION)
        image = put_image(c, st, form);
    if (me->captcha != CAPTCHA_IMAGE)
        question = put_question(c, form);
    mk_stream_set_note(st, NOTE, mk_printf(c, "%s\n%s\n%s", id, image ? image : "", question ? question : ""));
}

/* As people type: whatever the case, and with spaces around it. */
static bool is_answer(const char *given, const char *wanted, size_t len) {
    if (!given || !len)
        return false;
    given += strspn(given, " ");
    size_t n = strlen(given);
    while (n && given[n - 1] == ' ')
        n--;
    return n == len && strncasecmp(given, wanted, len) == 0;
}

bool challenge_met(struct mk_ctx *c, struct mk_stream *st, const struct mk_elem *form, const char **why) {
    const struct registration *me = mk_inst(c);
    const char *note = mk_stream_note(st, NOTE), *id = form ? mk_form_value(c, form, "challenge") : NULL;
    if (me->captcha == CAPTCHA_NONE)
        return true;
    *why = "Ask for the form, and send it back with an answer.";
    if (!note || !id)
        return false;
    note = mk_printf(c, "%s", note);
    mk_stream_set_note(st, NOTE, NULL);
    const char *image = strchr(note, '\n') + 1, *question = strchr(image, '\n') + 1;
    *why = "The answer is wrong.  Ask for another form.";
    return strlen(id) == (size_t)(image - 1 - note) && strncmp(id, note, strlen(id)) == 0 &&
           (is_answer(mk_form_value(c, form, "ocr"), image, (size_t)(question - 1 - image)) ||
            is_answer(mk_form_value(c, form, "qa"), question, strlen(question)));
}
