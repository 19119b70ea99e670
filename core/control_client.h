/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a running server over its control socket: a request a line, an answer a line (core/admin/control.c). */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <cjson/cJSON.h>

/* The socket that MEERKAT_SOCKET names, or the one that the server has by itself. */
const char *control_default_socket(void);

/* A connection, or -1 with errno: EACCES if one may not ask, ENAMETOOLONG. */
int control_connect(const char *path);

/*
 * Sends COMMAND with ARGS (consumed; may be NULL), and waits for the answer.  OWNED.  NULL, with a phrase in *WHY, if
 * there is none.  A connection may be used again.
 */
cJSON *control_ask(int fd, const char *command, cJSON *args, const char **why);

#endif
