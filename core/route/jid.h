/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ROUTE_JID_H
#define ROUTE_JID_H

#include "util/jid.h"

#endif
