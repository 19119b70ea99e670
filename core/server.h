/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_H
#define SERVER_H

/* The daemon, from its arguments to its exit status.  Exported for meerkatd alone, under a version node of its own. */
__attribute__((visibility("default"))) int mk_server_main(int argc, char **argv);

#endif
