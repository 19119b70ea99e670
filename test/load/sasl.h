/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of PLAIN, ANONYMOUS and SCRAM. */
#ifndef SASL_H
#define SASL_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A password as a server has salted it, kept with the account: a thousand logins need not compute it a thousand times. */
struct salted {
    char salt[96];
    unsigned iterations;
    uint8_t key[64];
};

struct sasl {
    const char *mechanism, *user, *password;
    struct salted *salted;
    gnutls_mac_algorithm_t mac; /* of SCRAM, else 0 */
    unsigned width;             /* of its hash, in bytes */
    char nonce[40], first[320];
    uint8_t signature[64]; /* that the server must show */
};

bool sasl_is_known(const char *mechanism);
/* All are kept by the caller until the exchange is over.  OUT gets the initial response in base64, "" for none. */
bool sasl_begin(struct sasl *s, const char *mechanism, const char *user, const char *password, struct salted *salted,
                char *out, size_t size);
/* The answer to CHALLENGE, both in base64. */
bool sasl_answer(struct sasl *s, const char *challenge, char *out, size_t size);
/* Whether the server, in what came with its success, has shown that it knows the password. */
bool sasl_is_genuine(const struct sasl *s, const char *success);

#endif
