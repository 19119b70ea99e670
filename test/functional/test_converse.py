# SPDX-License-Identifier: Apache-2.0
"""Converse.js in Chromium, over WebSocket and BOSH, its page served by the server itself."""
import os
import shutil

import web
from real import Peer, installed
from server import ROOT, Server, Skip

SERVER = False
COST = 20
SCREENSHOTS = os.environ.get("MEERKAT_TEST_SCREENSHOTS", os.path.join(ROOT, "build-test", "screenshots"))


def converse(server, user, way):
    folder = installed("converse")
    base = "http://localhost:%d" % web.address()[1]
    service = {"websocket": base.replace("http", "ws") + "/xmpp-websocket", "bosh": base + "/http-bind"}[way]
    return Peer(["node", os.path.join(folder, "client.mjs")], user, ("", 0),
                service=f"{base}/converse/page.html?{way}={service}")


def pages():
    """The folder that is served: the page, and what it loads."""
    folder = installed("converse")
    dist = os.path.join(folder, "dist")
    if not os.path.exists(dist):
        os.symlink("node_modules/converse.js/dist", dist)
    return folder


def open_chat(c, to):
    c.do("open", to=to)
    c.wait("opened", to=to)


def see(c, words):
    """Until the page shows WORDS."""
    c.do("see", words=words)
    c.wait("seen", words=words)


def befriend(server, user, friend):
    """Both see each other's presence."""
    c = server.client(user=user)
    for a, b in ((c, friend), (friend, c)):
        a.presence(to=b.bare, type="subscribe")
        b.take("presence", from_=a.bare, type="subscribe")
        b.presence(to=a.bare, type="subscribed")
        a.take("presence", from_=b.bare, type="subscribed")
    c.end()


def session(way):
    if not shutil.which("chromium"):
        raise Skip("there is no chromium")
    config = web.config(["websocket", "bosh"], http={"files": [f"/converse={pages()}"]})
    with Server(config, sqlite=True) as server:
        user, friend = server.account("browser"), server.client("friend")
        befriend(server, user, friend)
        c = converse(server, user, way)
        bare = f"{user}@{friend.domain}"
        open_chat(c, friend.bare)
        friend.message(bare, "hello browser")
        see(c, "hello browser")
        c.send(friend.bare, "hello friend")
        assert friend.take("message", has=["body"]).find("{jabber:client}body").text == "hello friend"
        see(c, "hello friend")
        c.do("reload")
        c.wait("online")
        open_chat(c, friend.bare)
        for words in ("hello browser", "hello friend"):
            see(c, words)
        os.makedirs(SCREENSHOTS, exist_ok=True)
        path = os.path.join(SCREENSHOTS, f"converse-{way}.png")
        c.do("show", path=path)
        c.wait("shown")
        assert os.path.getsize(path) > 10000
        server.restart()
        c.wait("resumed")
        again = server.connect(friend.domain, friend.user, "secret").login().available()
        again.message(bare, "after the restart")
        see(c, "after the restart")
        c.stop()


def test_websocket():
    session("websocket")


def test_bosh():
    session("bosh")
