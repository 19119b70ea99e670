/* SPDX-License-Identifier: Apache-2.0 */
/* What passwords and addresses must be like.  Pure, so that a unit test can ask. */
#ifndef REGISTER_RULES_H
#define REGISTER_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Characters of UTF-8 text. */
int64_t text_length(const char *text);

/* Bits of a password whose characters are chosen at random from the kinds that are in it: 26 small letters, 26 capital
 * ones, 9 digits, 33 other characters of ASCII, 128 beyond. */
double password_entropy(const char *password);

/* "allow 192.0.2.0/24", "deny ::/0".  Whether RULE is well formed; if so, *ALLOW, and whether ADDRESS is in its network. */
bool network_rule(const char *rule, const char *address, bool *allow, bool *matches);

#endif
