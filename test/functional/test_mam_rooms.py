# SPDX-License-Identifier: Apache-2.0
"""Archives that another plugin keeps by the interface of mam: test/abi/t_archive.c, whose rooms do."""
import time

from element import name, show
from mam import MAM, Page, Found, form, given, query, rsm
from server import BUILD, DOMAIN, Server
from xmpp import fail

SQLITE = True
CONFIG = {"plugin_dir": f"{BUILD}/plugins:{BUILD}/backends:{BUILD}/test/abi", "plugins": {"t_archive": {}}}


def room(name):
    return f"{name}@archive.{DOMAIN}"


def chat(client, to, count, start=0):
    """COUNT messages in a room; their ids."""
    ids = []
    for i in range(start, start + count):
        client.message(to, f"m{i}", type="groupchat")
        ids += given(client.expect("message", body=f"m{i}", from_=f"{to}/{client.user}"), to)
    return ids


def fetch(client, to, inner=""):
    id = client.ask("set", query(inner), to)
    found = []
    while (got := client.next()).tag == name("message"):
        if got.get("from") != to:
            fail(client, f"a result comes from the room: {show(got)}")
        found.append(Found(got))
    if got.get("id") != id or got.get("type") != "result":
        fail(client, f"expected the end of the query, but got {show(got)}")
    return Page(found, got.find(f"{{{MAM}}}fin"))


def command(client, to, word):
    client.message(to, word, type="headline")


def test_archive_of_a_room(server):
    a, b, to = server.client("a"), server.client("b"), room("one")
    ids = chat(a, to, 3) + chat(b, to, 2, 3)
    assert ids == sorted(set(ids)) and len(ids) == 5
    page = fetch(b, to)
    assert page.ids == ids and page.bodies == [f"m{i}" for i in range(5)] and page.complete
    for found, who in zip(page, [a] * 3 + [b] * 2):
        m = found.message
        assert m.get("to") is None and m.get("from") == f"{to}/{who.user}" and m.get("type") == "groupchat", show(m)
        assert m.find("{urn:test:archive}item").get("jid") == who.jid
    assert fetch(a, to, form(with_=f"{to}/{b.user}")).ids == ids[3:]
    assert fetch(a, to, rsm(max=2, before="")).ids == ids[3:]
    a.refused("set", query(form(after_id="x")), "item-not-found", to=to)
    start, end = a.result("get", f"<metadata xmlns='{MAM}'/>", to)[0]
    assert (start.get("id"), end.get("id")) == (ids[0], ids[4])
    assert a.result("get", query(), to)[0].find("{jabber:x:data}x") is not None


def test_rooms_are_apart(server):
    a = server.client("a")
    one, two = chat(a, room("apart1"), 2), chat(a, room("apart2"), 2)
    assert fetch(a, room("apart1")).ids == one and fetch(a, room("apart2")).ids == two
    id = a.ask("set", query())
    a.expect("iq", id=id, type="result")  # nothing of it in her own


def test_last(server):
    a, to = server.client("a"), room("last")
    ids = chat(a, to, 4)
    command(a, to, "last 2")
    for i in (2, 3):
        a.expect("message", type="headline", body=f"{ids[i]} m{i}")
    a.expect("message", type="headline", body="success")


def test_tombstone(server):
    a, to = server.client("a"), room("stone")
    ids = chat(a, to, 3)
    command(a, to, f"retract {ids[1]}")
    a.expect("message", type="headline", body="success")
    page = fetch(a, to)
    stone = page[1].message.find("{urn:xmpp:message-retract:1}retracted")
    assert page.ids == ids and page.bodies == ["m0", None, "m2"]
    assert stone.get("id") == "r" and stone.findtext("{urn:xmpp:message-retract:1}reason") == "rude", show(stone)
    for unknown in ("x", ids[0][:-1] + ("A" if ids[0][-1] != "A" else "B")):
        command(a, to, f"retract {unknown}")
        assert a.expect("message", type="headline").findtext(name("body")) == "not found"


def test_drop(server):
    a, to = server.client("a"), room("drop")
    chat(a, to, 2)
    command(a, to, "drop")
    a.expect("message", type="headline", body="success")
    assert fetch(a, to) == []


def test_trimmed(server):
    """Limits hold for rooms too."""
    with Server({**CONFIG, "plugins": {"t_archive": {}, "mam": {"max_messages": 2, "trim_every": "1s"}}}) as s:
        a, to = s.client("a"), room("trim")
        ids = chat(a, to, 6)
        deadline = time.monotonic() + 20
        while fetch(a, to).ids != ids[4:]:
            assert time.monotonic() < deadline, "the oldest go"
            time.sleep(0.05)
