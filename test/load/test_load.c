/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "framer.h"
#include "histogram.h"
#include "ledger.h"
#include "sasl.h"
#include <inttypes.h>

/* ---- histogram ---------------------------------------------------------------------------------------------------------- */

static struct histogram a, b, c;

static void small_values_are_exact(void) {
    memset(&a, 0, sizeof a);
    for (uint64_t i = 1; i <= 200; i++)
        histogram_add(&a, i);
    CHECK_INT(histogram_at(&a, 0.5), 100);
    CHECK_INT(histogram_at(&a, 0.99), 198);
    CHECK_INT(histogram_at(&a, 1), 200);
    CHECK_INT(histogram_at(&a, 0), 1);
    CHECK(histogram_mean(&a) == 100.5);
}

static void large_values_are_near(void) {
    for (uint64_t v = 1; v < UINT64_C(1) << 35; v = v * 5 / 4 + 1) {
        memset(&a, 0, sizeof a);
        histogram_add(&a, v);
        a.max = UINT64_MAX; /* so that the bucket's own value is seen */
        uint64_t read = histogram_at(&a, 1);
        CHECK(read >= v && (double)(read - v) <= (double)v / 128);
    }
}

static void huge_values_are_kept(void) {
    memset(&a, 0, sizeof a);
    histogram_add(&a, UINT64_MAX);
    CHECK_INT(a.count, 1);
    CHECK(a.max == UINT64_MAX && a.buckets[HISTOGRAM_BUCKETS - 1] == 1);
}

static void parts_add_up(void) {
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    for (uint64_t i = 0; i < 1000; i++)
        histogram_add(i % 2 ? &a : &b, i * 1000);
    histogram_merge(&a, &b);
    CHECK_INT(a.count, 1000);
    CHECK_INT(a.min, 0);
    CHECK_INT(a.max, 999000);
    histogram_since(&a, &b, &c);
    CHECK_INT(c.count, 500);
    CHECK(histogram_at(&c, 0.5) >= 499000 && histogram_at(&c, 0.5) <= 505000);
    histogram_since(&a, &a, &c);
    CHECK_INT(c.count, 0);
    CHECK_INT(histogram_at(&c, 0.5), 0);
}

/* ---- ledger --------------------------------------------------------------------------------------------------------------- */

static void flow_tells_all_apart(void) {
    struct flow f = { 0 };
    static const uint64_t arrivals[] = { 0, 1, 3, 2, 2, 6, 6, 1 };
    static const enum flow_verdict want[] = { FLOW_NEW,       FLOW_NEW, FLOW_NEW,       FLOW_LATE,
                                              FLOW_DUPLICATE, FLOW_NEW, FLOW_DUPLICATE, FLOW_DUPLICATE };
    for (unsigned i = 0; i < 8; i++)
        CHECK_INT(flow_note(&f, arrivals[i]), want[i]);
    CHECK_INT(f.distinct, 5);
    CHECK_INT(f.duplicated, 3);
    CHECK_INT(f.disordered, 1);
    CHECK_INT(f.next, 7);
}

static void flow_remembers_its_window(void) {
    struct flow f = { 0 };
    for (uint64_t i = 0; i < 3 * FLOW_WINDOW; i += 2)
        CHECK_INT(flow_note(&f, i), FLOW_NEW);
    uint64_t newest = 3 * FLOW_WINDOW - 2;
    CHECK_INT(flow_note(&f, newest - FLOW_WINDOW + 2), FLOW_DUPLICATE);
    CHECK_INT(flow_note(&f, newest - FLOW_WINDOW + 3), FLOW_LATE);
    CHECK_INT(flow_note(&f, newest - FLOW_WINDOW), FLOW_UNKNOWN);
    CHECK_INT(flow_note(&f, newest + 100 * FLOW_WINDOW), FLOW_NEW);
    CHECK_INT(flow_note(&f, newest + 100 * FLOW_WINDOW - 1), FLOW_LATE);
    CHECK_INT(f.unknown, 1);
}

/* ---- framer ---------------------------------------------------------------------------------------------------------------- */

static const char stream[] =
    "<?xml version='1.0'?><stream:stream a='>'><stream:features/> <message id=\"a>b\"><body>1 &lt; "
    "2</body><x/></message>\n<iq id='/'/></stream:stream>";

/* However it is cut, the same frames come out. */
static void frames_are_found(void) {
    static const enum frame want[] = { FRAME_HEADER, FRAME_STANZA, FRAME_STANZA, FRAME_STANZA, FRAME_END };
    for (size_t piece = 1; piece < sizeof stream; piece++) {
        struct framer f = { 0 };
        size_t at = 0, frames = 0;
        for (size_t have = piece; at < sizeof stream - 1; have += piece) {
            enum frame got;
            size_t len = have < sizeof stream - 1 ? have : sizeof stream - 1;
            while ((got = framer_scan(&f, stream, len, &at)) != FRAME_MORE) {
                CHECK(frames < 5);
                CHECK_INT(got, want[frames++]);
            }
        }
        CHECK_INT(frames, 5);
    }
}

static void empty_root_is_an_end(void) {
    struct framer f = { 0 };
    struct buffer in = { 0 };
    char *text;
    buffer_add(&in, "<?xml version='1.0'?><a/>rest", 29);
    CHECK_INT(framer_next(&f, &in, &text), FRAME_END);
    CHECK_TEXT(text, "<?xml version='1.0'?><a/>");
    buffer_took(&in, in.scanned);
    CHECK_MEM(in.data + in.at, in.len - in.at, "rest", 4);
    buffer_free(&in);
}

static void bad_frames_are_refused(void) {
    static const char *const bad[] = { "<!DOCTYPE x>", "<a><!-- -->", "</a>", "<a></a></b>" };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct framer f = { 0 };
        enum frame got = FRAME_MORE;
        for (size_t at = 0; at < strlen(bad[i]) && got != FRAME_BAD;)
            got = framer_scan(&f, bad[i], strlen(bad[i]), &at);
        CHECK_INT(got, FRAME_BAD);
    }
}

static void parts_of_stanzas_are_read(void) {
    char out[32];
    const char *stanza = " <iq type = \"result\" from='a&apos;b@c' id='x'><bind><jid>a&amp;b</jid><e/></bind></iq>";
    CHECK(xml_name(stanza, out, sizeof out));
    CHECK_TEXT(out, "iq");
    CHECK(xml_attr(stanza, "type", out, sizeof out));
    CHECK_TEXT(out, "result");
    CHECK(xml_attr(stanza, "from", out, sizeof out));
    CHECK_TEXT(out, "a'b@c");
    CHECK(!xml_attr(stanza, "i", out, sizeof out));
    CHECK(!xml_attr("<a b", "b", out, sizeof out));
    CHECK(!xml_attr("<a b='", "b", out, sizeof out));
    CHECK(xml_text(stanza, "jid", out, sizeof out));
    CHECK_TEXT(out, "a&b");
    CHECK(!xml_text(stanza, "e", out, sizeof out));
    CHECK(!xml_text(stanza, "jid", out, 3));
    CHECK(!xml_text(stanza, "bin", out, sizeof out));
}

/* ---- SASL ------------------------------------------------------------------------------------------------------------------- */

/* The exchange of RFC 7677, section 3: the nonce is put in place of the one that was drawn. */
static void scram_is_as_in_the_rfc(void) {
    struct sasl s;
    struct salted salted = { .iterations = 0 };
    char out[1400];
    CHECK(sasl_begin(&s, "SCRAM-SHA-256", "user", "pencil", &salted, out, sizeof out));
    strcpy(s.nonce, "rOprNGfwEbeRWgbNEkqO");
    strcpy(s.first, "n=user,r=rOprNGfwEbeRWgbNEkqO");
    CHECK(sasl_answer(&s,
                      "cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1"
                      "VFamI2Z1E9PSxpPTQwOTY=",
                      out, sizeof out));
    CHECK_TEXT(out,
               "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpV"
               "aE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==");
    CHECK(sasl_is_genuine(&s, "dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="));
    CHECK(!sasl_is_genuine(&s, "dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc1PQ=="));
    CHECK(!sasl_is_genuine(&s, ""));
}

static void odd_challenges_are_refused(void) {
    struct sasl s;
    struct salted salted = { .iterations = 0 };
    char out[1400];
    CHECK(sasl_begin(&s, "SCRAM-SHA-1", "a,b=c", "x", &salted, out, sizeof out));
    CHECK(strncmp(s.first, "n=a=2Cb=3Dc,r=", 14) == 0);
    CHECK(!sasl_answer(&s, "not base64!", out, sizeof out));
    CHECK(!sasl_answer(&s, "cj1hYmMscz1lQT09LGk9MQ==", out, sizeof out)); /* r=abc,s=eA==,i=1: not our nonce */
    CHECK(!sasl_is_known("DIGEST-MD5") && sasl_is_known("PLAIN"));
    CHECK(sasl_begin(&s, "PLAIN", "u", "p", &salted, out, sizeof out));
    CHECK_TEXT(out, "AHUAcA==");
    CHECK(!sasl_answer(&s, "", out, sizeof out));
}

int main(void) {
    return CHECK_RUN(T(small_values_are_exact), T(large_values_are_near), T(huge_values_are_kept), T(parts_add_up),
                     T(flow_tells_all_apart), T(flow_remembers_its_window), T(frames_are_found),
                     T(empty_root_is_an_end), T(bad_frames_are_refused), T(parts_of_stanzas_are_read),
                     T(scram_is_as_in_the_rfc), T(odd_challenges_are_refused));
}
