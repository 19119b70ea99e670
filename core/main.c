/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

int main(int argc, char **argv) {
    return mk_server_main(argc, argv);
}
