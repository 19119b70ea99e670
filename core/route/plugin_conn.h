/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of plugins: net.h of the SDK over struct conn. */
#ifndef ROUTE_PLUGIN_CONN_H
#define ROUTE_PLUGIN_CONN_H

#include "net/listener.h"
#include <meerkat/net.h>

/* Accepts for listeners of a kind that a plugin has. */
void plugin_conn_accept(struct worker *w, const struct listener_config *config, int fd, const struct sockaddr *peer,
                        socklen_t peer_len);
int plugin_conns_start(struct worker *w);
void plugin_conns_stop(struct worker *w); /* their plugins are told, all are closed; before net_worker_stop() */
const struct conn *plugin_conn_below(const struct mk_conn *conn); /* takes NULL */

#endif
