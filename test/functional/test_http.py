# SPDX-License-Identifier: Apache-2.0
"""The HTTP server: requests, limits, files, proxies."""
import os
import tempfile

import web
from server import DOMAIN, OTHER, Server
from test_stream_mgmt import metric
from web import Http

FILES = tempfile.TemporaryDirectory(prefix="meerkat-files-")
SECRET = tempfile.NamedTemporaryFile(prefix="meerkat-secret-")
PAGE = b"<!DOCTYPE html><title>Hello</title>"
BIG = os.urandom(1_000_000)
CONFIG = web.config(http={"files": [f"/files={FILES.name}"], "max_head": 4096, "max_body": 10000, "access_log": True,
                          "trusted_proxies": ["127.0.0.0/8"], "request_timeout": "2s"})
COST = 6


def put(name, data):
    path = os.path.join(FILES.name, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


put("index.html", PAGE)
put("sub dir/é.json", b"{}")
put("big.bin", BIG)
os.symlink(SECRET.name, os.path.join(FILES.name, "link"))
os.symlink("index.html", os.path.join(FILES.name, "inside.html"))


def test_files(server):
    for kind in ("http", "https"):
        h = Http(kind)
        page = h.get("/files/")
        assert page.status == 200 and page.body == PAGE and page["content-type"] == "text/html; charset=utf-8"
        assert page["x-content-type-options"] == "nosniff" and page["date"] and page["connection"] == "keep-alive"
        assert h.get("/files").body == PAGE  # on the same connection
        assert h.get("/files/sub%20dir/%C3%A9.json")["content-type"] == "application/json"
        assert h.get("/files/big.bin").body == BIG
        assert h.get("/files/inside.html").body == PAGE
        assert h.get("/files/./sub%20dir/../index.html").body == PAGE
        assert h.get("/files/nothing").status == 404
        assert h.get("/filesystem").status == 404
        assert h.get("/files/link").status == 403
        assert h.get("/files/index.html/more").status == 404
        assert h.get("/files/", method="HEAD")["content-length"] == str(len(PAGE))
        post = h.get("/files/", method="POST", body="x")
        assert post.status == 405 and post["allow"] == "GET, HEAD"
        for path in ("/../etc/passwd", "/files/../../etc/passwd", "/files/%2e%2e/%2e%2e/etc/passwd", "/files/..%2f..%2fetc/passwd", "/files/a%00",
                     "/files/%zz", "/files/%ff"):
            assert Http(kind).get(path).status in (400, 404), path
    

def test_conditions(server):
    h = Http()
    page = h.get("/files/index.html")
    assert h.get("/files/index.html", If_None_Match=page["etag"]).status == 304
    assert h.get("/files/index.html", If_None_Match='"other"').status == 200
    assert h.get("/files/index.html", If_Modified_Since=page["last-modified"]).status == 304
    assert h.get("/files/index.html", If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status == 200
    put("changing.txt", b"one")
    tag = h.get("/files/changing.txt")["etag"]
    put("changing.txt", b"three")
    assert h.get("/files/changing.txt", If_None_Match=tag).body == b"three"


def test_ranges(server):
    h = Http()
    part = h.get("/files/big.bin", Range="bytes=100-299999")
    assert part.status == 206 and part.body == BIG[100:300000]
    assert part["content-range"] == f"bytes 100-299999/{len(BIG)}"
    assert h.get("/files/big.bin", Range="bytes=-10").body == BIG[-10:]
    assert h.get("/files/big.bin", Range="bytes=999990-").body == BIG[999990:]
    assert h.get("/files/big.bin", Range="bytes=999990-9999999").body == BIG[999990:]
    beyond = h.get("/files/big.bin", Range="bytes=1000000-")
    assert beyond.status == 416 and beyond["content-range"] == f"bytes */{len(BIG)}"
    for other in ("bytes=5-1", "lines=1-2", "bytes=x-", "bytes=0-1,5-6"):
        assert h.get("/files/big.bin", Range=other).body == BIG, other
    assert h.get("/files/big.bin", Range="bytes=0-1", If_Range='"other"').body == BIG


def test_slow_reader_of_a_file(server):
    """A client that reads nothing for a while gets all of it, and holds up nobody."""
    slow = [Http().request("GET", "/files/big.bin") for _ in range(8)]
    assert Http().get("/files/").body == PAGE
    for h in slow:
        assert h.answer().body == BIG
    gone = [Http().request("GET", "/files/big.bin") for _ in range(8)]
    for h in gone:
        h.close()
    assert Http().get("/files/").body == PAGE


def test_pipeline(server):
    h = Http()
    for path in ("/files/", "/nothing", "/files/big.bin", "/files/"):
        h.request("GET", path)
    assert [h.answer().status for _ in range(4)] == [200, 404, 200, 200]
    one = Http()
    for byte in f"GET /files/ HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n":
        one.send(byte)
    assert one.answer().body == PAGE


def test_bodies(server):
    h = Http()
    assert h.get("/nothing", method="POST", body=b"x" * 10000).status == 404
    h.send(f"POST /nothing HTTP/1.1\r\nHost: {DOMAIN}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert h.answer().status == 404
    chunks = f"POST /nothing HTTP/1.1\r\nHost: {DOMAIN}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
    h.send(f"{chunks}Host: other.example\r\nX: {'x' * 5000}\r\n" + "".join(f"X{i}: 1\r\n" for i in range(200)) + "\r\n")
    assert h.answer().status == 404, "what stands behind a body is no header"
    h.send(f"POST /nothing HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert h.answer().status == 100
    h.send("hello")
    assert h.answer().status == 404
    assert h.get("/files/").status == 200


def test_connection_ends_as_asked(server):
    h = Http()
    assert h.get("/files/", Connection="close").status == 200 and h.is_closed()
    h = Http()
    h.send("GET /files/ HTTP/1.0\r\n\r\n")
    assert h.answer()["connection"] == "close" and h.is_closed()
    h = Http()
    h.send("GET /files/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert h.answer().body == PAGE


def refused(data, status):
    h = Http()
    h.send(data)
    got = h.answer()
    assert got.status == status, (data[:100], got.status)
    assert got["connection"] == "close" and h.is_closed()


def test_refused(server):
    host = f"Host: {DOMAIN}\r\n"
    refused("GET / HTTP/1.1\r\n\r\n", 400)
    refused(f"GET / HTTP/1.1\r\n{host}{host}\r\n", 400)
    refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400)
    refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400)
    refused(f"GET nothing HTTP/1.1\r\n{host}\r\n", 400)
    refused(f"GET / HTTP/1.1\r\n{host}Broken\r\n\r\n", 400)
    refused(f"GET / HTTP/1.1\r\n{host}Name : x\r\n\r\n", 400)
    refused(f"GET / HTTP/3.1\r\n{host}\r\n", 505)
    refused("BREW /pot HTTP/1.1\r\n\r\n", 501)
    refused(f"CONNECT {DOMAIN}:443 HTTP/1.1\r\n{host}\r\n", 405)
    refused(f"GET /{'x' * 5000} HTTP/1.1\r\n{host}\r\n", 414)
    refused(f"GET / HTTP/1.1\r\n{host}X: {'x' * 5000}\r\n\r\n", 431)
    refused(f"GET / HTTP/1.1\r\n{host}" + "".join(f"X{i}: 1\r\n" for i in range(200)) + "\r\n", 431)
    refused(f"POST / HTTP/1.1\r\n{host}Content-Length: 10001\r\n\r\n", 413)
    refused(f"POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n2711\r\n" + "x" * 10001 + "\r\n", 413)
    refused(f"POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400)
    refused(f"POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", 400)
    refused(f"POST / HTTP/1.1\r\n{host}Content-Length: -5\r\n\r\nhello", 400)
    refused(f"POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400)
    refused(f"POST / HTTP/1.1\r\n{host}Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\nhello", 400)
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501)


def test_slow_clients_are_closed(server):
    before = metric(server.ctl("metrics"), "http_timeouts")
    silent, half = Http(), Http()
    half.send("GET /files/ HT")
    assert half.answer().status == 408 and half.is_closed()
    assert silent.is_closed()
    assert metric(server.ctl("metrics"), "http_timeouts") == before + 1


def test_absolute_target_and_options(server):
    h = Http()
    assert h.get(f"http://{DOMAIN}/files/index.html").body == PAGE
    assert h.get(f"http://{DOMAIN}").status == 404
    assert h.get("*", method="OPTIONS").status == 204
    assert h.get("/files/", Host="nobody.example").body == PAGE
    assert h.get("/files/", Host=f"{OTHER}:5281").body == PAGE


def test_cors(server):
    h = Http()
    page = h.get("/files/", Origin="https://chat.example")
    assert page["access-control-allow-origin"] == "*"


def test_addresses_of_proxies(server):
    h = Http()
    h.get("/nothing/one", X_Forwarded_For="203.0.113.7, 127.0.0.9")
    server.wait_log("203.0.113.7:0 GET /nothing/one: 404")
    h.get("/nothing/two", X_Forwarded_For="1.2.3.4, 2001:db8::7")
    server.wait_log("[2001:db8::7]:0 GET /nothing/two: 404")
    h.get("/nothing/three", X_Forwarded_For="1.2.3.4, junk")
    server.wait_log("127.0.0.1:")
    server.wait_log(" GET /nothing/three: 404")


def test_configuration_is_checked(server):
    def wrong(words, listener=None, **http):
        change = web.config(http=http)
        with Server(change, start=False) as s:
            if listener:
                s.config["listeners"].append(listener)
            s.configure(None)
            assert words in s.refuses_to_start()
    wrong("is no address and no network", trusted_proxies=["nonsense"])
    wrong("is not a path, = and a folder", files=["/x=/nowhere"])
    wrong("a listener of kind http has no starttls", {"kind": "http", "port": 0, "tls": "starttls"})
    wrong("no enabled plugin has the kind gopher", {"kind": "gopher", "port": 0, "tls": "plain"})
