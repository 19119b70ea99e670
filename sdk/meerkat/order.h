/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.h - where the handlers of the plugins that come with the server stand in their chains, 0 to 100.  Choose yours
 * by what must have happened before it.
 */
#ifndef MEERKAT_ORDER_H
#define MEERKAT_ORDER_H

enum mk_order {
    /* session_received, session_send, session_lost */
    MK_ORDER_CSI = 80,         /* before it counts: what is held has not gone out */
    MK_ORDER_STREAM_MGMT = 90, /* last: it accounts for what really goes out */

    /* account_loaded, user_send_*, user_receive_*, user_notify_presence */
    MK_ORDER_FILTER = 10, /* privacy, blocking: before anybody stores, copies or answers */

    /* user_send_message, user_receive_message */
    MK_ORDER_ISOLATION = 5, /* before anything: who is outside is not heard */
    MK_ORDER_RULES = 20,    /* what the sender wants to happen, before it does */
    MK_ORDER_ARCHIVE = 50,  /* before copies are made, so that they carry the stanza-id */
    MK_ORDER_CARBONS = 70,
    MK_ORDER_ARCHIVED = 75, /* user_send_message: copies are made, the stanza-id goes off again */
    MK_ORDER_MARKERS = 90,  /* the others have seen it: it may go no further */

    /* user_receive_iq */
    MK_ORDER_LAST = 30,

    /* user_offline_message */
    MK_ORDER_OFFLINE_MARKERS = 70, /* the newest of them is enough */
    MK_ORDER_PUSH = 75,            /* session_send too: before they are kept for later */
    MK_ORDER_OFFLINE = 80,
    MK_ORDER_ARCHIVED_OFFLINE = 90, /* what is archived is not refused */

    /* user_send_presence, user_send_subscription, user_receive_subscription */
    MK_ORDER_AVATAR = 30, /* adds to presence what everybody is to see */
    MK_ORDER_ROSTER = 40,
    MK_ORDER_PRESENCE = 60,       /* sees the roster as the subscription left it */
    MK_ORDER_CAPS = 70,           /* before stored things follow: what the client can do decides which */
    MK_ORDER_AVAILABLE = 80,      /* the presence is out, the session's availability is known: stored things follow */
    MK_ORDER_PRESENCE_DONE = 100, /* a presence without `to` goes no further */

    /* session_opened, session_closed */
    MK_ORDER_SAVE = 0, /* the session is as it was: it may be wanted again when the server is back */
    MK_ORDER_SESSION = 50,
    MK_ORDER_UNACKED = 90, /* others have taken leave of the session; what it did not acknowledge goes on */

    /* host_receive_message */
    MK_ORDER_ANNOUNCE = 50,

    /* http_request: by how often each is asked for; paths differ */
    MK_ORDER_WEBSOCKET = 30,
    MK_ORDER_BOSH = 20,
    MK_ORDER_HOST_META = 50,

    /* disco_info, disco_items */
    MK_ORDER_DELEGATION = 100 /* last: a node that nobody else knows is the component's */
};

#endif
