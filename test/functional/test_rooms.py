# SPDX-License-Identifier: Apache-2.0
"""Domains that a plugin serves, and their rooms: the plugin is test/abi/t_room.c, whose rooms count what they get."""
import re
import time

from element import text
from server import BUILD, DOMAIN, OTHER, Server

ROOMS = [f"rooms.{DOMAIN}", f"rooms.{OTHER}"]
SLOW, LATE = f"slow.{DOMAIN}", f"late.{DOMAIN}"
NS_ROOM = "urn:test:room"
QUERY = f"<room xmlns='{NS_ROOM}'/>"
CONFIG = {"plugin_dir": f"{BUILD}/plugins:{BUILD}/backends:{BUILD}/test/abi",
          "plugins": {"t_room": {"slow": "slow.@HOST@", "late": "late.@HOST@"}}}


def say(client, room, word, count, **wanted):
    client.message(room, word)
    return client.expect("message", type="headline", from_=room, body=f"{count} {word}", **wanted)


def loaded(server):
    return sum(int(n) for n in re.findall(r"^meerkat_rooms_loaded(?:\{.*\})? (\d+)", server.ctl("metrics"), re.M))


def wait_loaded(server, count):
    deadline = time.monotonic() + 20
    while (now := loaded(server)) != count:
        assert time.monotonic() < deadline, f"{now} rooms are in memory, not {count}"
        time.sleep(0.02)


def ask(client, to):
    """An iq; what the room says of itself."""
    return client.result("get", QUERY, to)[0]


def test_made_on_demand(server):
    """A room is there for whoever asks, and gone afterwards: it counts from one again."""
    c = server.client()
    for domain in ROOMS:
        say(c, f"nobody@{domain}", "hello", 1)
        say(c, f"nobody@{domain}", "hello", 1)
    wait_loaded(server, 0)


def test_held(server):
    """Slots stay while the room is held, and go when it is let go; rooms know nothing of each other."""
    c, d = server.client("c"), server.client("d", domain=OTHER)
    for domain in ROOMS:
        a, b = f"a@{domain}", f"b@{domain}"
        say(c, a, "stay", 1)
        say(d, a, "hello", 2)
        say(c, b, "hello", 1)
        say(d, a + "/nick", "hello", 3)
        say(c, b, "stay", 1)
        say(c, b, "hello", 2)
        wait_loaded(server, 2)
        say(c, a, "leave", 4)
        say(c, b, "leave", 3)
        wait_loaded(server, 0)
        say(d, a, "hello", 1)
        say(d, b, "hello", 1)


def test_kinds(server):
    """Messages, presence and iqs come to the same handler, from both hosts."""
    for client, domain in ((server.client("c"), ROOMS[1]), (server.client("d", domain=OTHER), ROOMS[0])):
        room = f"kinds@{domain}"
        say(client, room, "stay", 1)
        client.presence(to=f"{room}/nick")
        client.expect("message", from_=f"{room}/nick", body="2 presence")
        answer = ask(client, f"{room}/nick")
        assert answer.attrib == {"count": "3", "self": room, "host": domain.partition(".")[2]}, answer.attrib
        client.presence(to=f"{room}/nick", type="unavailable")
        client.expect("message", from_=f"{room}/nick", body="4 presence")
        say(client, room, "leave", 5)


def test_order(server):
    """Of many, from two clients and on a room that waits, each client's come in their order and none is lost."""
    clients = [server.client("c"), server.client("d", domain=OTHER)]
    for domain, count in ((ROOMS[0], 40), (ROOMS[1], 40), (SLOW, 6)):
        room = f"order@{domain}"
        say(clients[0], room, "stay", 1)
        for i in range(count):
            for c in clients:
                c.message(room, f"m{i}")
        seen = []
        for c in clients:
            answers = [text(c.expect("message", from_=room), "body").split() for _ in range(count)]
            assert [word for _, word in answers] == [f"m{i}" for i in range(count)], answers
            numbers = [int(n) for n, _ in answers]
            assert numbers == sorted(numbers), answers
            seen += numbers
        assert sorted(seen) == list(range(2, 2 * count + 2)), seen
        say(clients[0], room, "leave", 2 * count + 2)


def test_timer(server):
    """It keeps the room, fires in its turn, and lets it go."""
    c = server.client()
    room = f"timer@{ROOMS[0]}"
    say(c, room, "tick", 1)
    say(c, room, "hello", 2)
    c.expect("message", from_=room, body="tick 2")
    wait_loaded(server, 0)
    say(c, room, "tick", 1)
    c.expect("message", from_=room, body="tick 1")


def test_room_to_room(server):
    """A room's message has the room as its sender, wherever the other lives."""
    c = server.client()
    for i in range(8):
        a, b = f"a{i}@{ROOMS[0]}", f"b{i}@{ROOMS[1]}"
        say(c, b, "stay", 1)
        say(c, a, f"tell {b}", 1)
        c.message(a, f"tell {c.jid}")
        c.expect("message", from_=a, body="told")
        c.expect("message", from_=a, body=f"1 tell {c.jid}")
        say(c, b, "leave", 3)


def test_room_to_room_order(server):
    """What a room was told before the client asks it is counted."""
    c = server.client()
    room = f"self@{ROOMS[0]}"
    say(c, room, "stay", 1)
    say(c, room, f"tell {room}", 2)
    say(c, room, "leave", 4)


def test_domain(server):
    """The domain itself has a turn and slots of its own; what has no handler is refused."""
    c = server.client()
    for domain in ROOMS:
        answer = ask(c, domain)
        assert answer.attrib == {"count": "1", "self": domain, "host": domain.partition(".")[2]}, answer.attrib
        say(c, domain, "stay", 1)
        assert ask(c, domain + "/resource").get("count") == "2"
        say(c, domain, "leave", 3)
    c.refused("get", QUERY, "service-unavailable", SLOW)
    c.message(SLOW, "hello")
    c.expect_bounce("message", "service-unavailable", from_=SLOW)
    assert ask(c, LATE).get("self") == LATE
    c.refused("get", QUERY, "service-unavailable", f"room@{LATE}")
    c.presence(to=f"room@{LATE}")
    c.expect_nothing()


def test_no_account(server):
    """The domain is no host: nobody logs in there, and no hook of accounts sees it."""
    c = server.connect(ROOMS[0])
    c.send(c.header_text(to=ROOMS[0]))
    c.expect("stream:stream")
    c.expect_error("host-unknown")
    assert "not served" in "".join(server.ctl("users", "add", f"x@{ROOMS[0]}", "secret", check=False)[1:])


def test_reload(server):
    """Domains come and go under connected clients; held rooms, timers and waiting turns do not outlive them."""
    with Server(CONFIG) as s:
        c = s.client()
        room, slow = f"room@{ROOMS[0]}", f"room@{SLOW}"
        for round in range(3):
            say(c, room, "stay", 1)
            say(c, room, "tick", 2)
            say(c, slow, "stay", 1)
            for i in range(5):
                c.message(slow, "hello")
            s.configure({"plugins": {"t_room": {"enabled": False}}})
            s.reload()
            wait_loaded(s, 0)
            c.message(room, "anybody?", id=f"gone{round}")
            c.take("message", id=f"gone{round}", type="error", has="error/stanzas:remote-server-not-found")
            c.refused("get", QUERY, "remote-server-not-found", ROOMS[0])
            s.configure({"plugins": {"t_room": {"enabled": True}}})
            s.reload()
            ask(c, f"other@{ROOMS[0]}")
            c.queue.clear()  # what the waiting room said, or was refused for it


def test_reload_moves(server):
    """The option is live: the rooms of the old name are gone, the new name is served."""
    with Server(CONFIG) as s:
        c = s.client()
        say(c, f"room@{ROOMS[0]}", "stay", 1)
        s.configure({"plugins": {"t_room": {"domain": "chat.@HOST@"}}})
        s.reload()
        wait_loaded(s, 0)
        c.message(f"room@{ROOMS[0]}", "anybody?")
        c.expect_bounce("message", "remote-server-not-found")
        say(c, f"room@chat.{DOMAIN}", "hello", 1)


def test_reload_keeps(server):
    """A reload that is about something else leaves a held room as it is."""
    with Server(CONFIG) as s:
        c = s.client()
        say(c, f"room@{ROOMS[0]}", "stay", 1)
        s.configure({"plugins": {"version": {"name": "Renamed"}}})
        s.reload()
        say(c, f"room@{ROOMS[0]}", "hello", 2)


def test_host_becomes_domain(server):
    """Accounts and rooms with the same address in turn, while those of before are still in memory."""
    with Server(CONFIG) as s:
        c, user = s.client(), s.account("user", domain=OTHER)
        other, room = s.client(domain=OTHER, user=user), f"{user}@{OTHER}"
        hosts = s.config["hosts"]
        s.configure({"hosts": hosts[:1], "plugins": {"t_room": {"domain": OTHER}}})
        s.reload()
        say(c, room, "stay", 1)
        other.take("stream:error", has="streams:host-gone")
        s.configure({"hosts": hosts, "plugins": {"t_room": {"domain": "rooms.@HOST@"}}})
        s.reload()
        s.client(domain=OTHER, user=user).message(c.jid, "back")
        c.take("message", body="back")
        wait_loaded(s, 0)


def test_stop_with_held_rooms(server):
    with Server(CONFIG) as s:
        c = s.client()
        for i in range(20):
            say(c, f"r{i}@{ROOMS[i % 2]}", "stay", 1)
        s.stop()
        assert "stop_timeout" not in s.log()


def test_check(server):
    """Two that claim one domain."""
    with Server(CONFIG, start=False) as s:
        s.configure({"plugins": {"t_rooms": {}}})
        code, lines = s.check()
        assert code == 1 and any(re.search(rf"t_room .*{DOMAIN}.*t_rooms .*{DOMAIN}.*{ROOMS[0]}", line)
                                 for line in lines), lines
        s.configure({"plugins": {"t_rooms": None, "t_room": {"domain": OTHER}}})
        code, lines = s.check()
        assert code == 1 and any(f"serves {OTHER}" in line and "host itself" in line for line in lines), lines
