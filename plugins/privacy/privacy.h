/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PRIVACY_PRIVACY_H
#define PRIVACY_PRIVACY_H

#define NS_PRIVACY "jabber:iq:privacy"

#endif
