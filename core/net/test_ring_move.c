/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that change their worker, with sockets that are read and written in batches. */
#define RING
#include "test_move.c"
