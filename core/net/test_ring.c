/* SPDX-License-Identifier: Apache-2.0 */
/* Plain connections once more, their sockets read and written in batches. */
#define RING
#include "test_conn.c"
