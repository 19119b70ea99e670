# SPDX-License-Identifier: Apache-2.0
"""What is left of an account that is removed: nothing, whatever plugin stored it.

The account is given data in every collection that is kept by account, which the plugins' manuals tell.  A plugin that
stores something new needs a line in FILL, or a reason in EXEMPT.
"""
import glob
import os
import re
import sqlite3

from element import NS
from mam import MAM
from server import DOMAIN, ROOT, Server
from test_clients import first_login
from test_register import register, stranger
from test_smart_markers import mark
from test_vcard import PNG, photo, vcard

SERVER = False
COST = 2
PLUGINS = ("accounts", "blocking", "invites", "last", "privacy", "private", "push", "reports", "shared_roster",
           "smart_markers", "vcard", "vcard4")
FAR = "far@elsewhere.example"

# Collections that are kept by account and need no data here, and why.
EXEMPT = {}


def by_account():
    """Names of all collections whose partition is an account's, as the manuals have them."""
    found = set()
    for path in glob.glob(os.path.join(ROOT, "plugins", "*", "*.md")):
        with open(path) as f:
            text = f.read()
        for name, table in re.findall(r"^`(\w+)`, version .*\n\n((?:\|.*\n)+)", text, re.M):
            rows = [row.split(" | ") for row in table.splitlines() if "partition" in row]
            if any(row[1] == "jid" and "account" in row[3] for row in rows):
                found.add(name)
    return found


def tables_with(path, word):
    """Names of tables in which WORD is in any column of any row."""
    found = set()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        # What is searched by words is a copy of a table, in pieces that are merged later.
        names = [n for n, in db.execute("SELECT name FROM sqlite_master WHERE type='table'") if "___search" not in n]
        for name in names:
            for row in db.execute(f'SELECT * FROM "{name}"'):
                if any(word.encode() in (v if isinstance(v, bytes) else str(v).encode()) for v in row):
                    found.add(name)
                    break
    db.close()
    return found


def queries(c):
    """Data that clients set by iq."""
    return (f"<query xmlns='jabber:iq:roster'><item jid='{FAR}'/></query>",
            "<query xmlns='jabber:iq:privacy'><list name='l'><item order='1' action='deny'><iq/></item></list></query>",
            f"<block xmlns='urn:xmpp:blocking'><item jid='{FAR}'><report xmlns='urn:xmpp:reporting:1' "
            "reason='urn:xmpp:reporting:spam'/></item></block>",
            f"<query xmlns='jabber:iq:private'><a xmlns='b'>{c.bare}</a></query>",
            f"<enable xmlns='urn:xmpp:push:0' jid='{FAR}' node='n'/>",
            vcard("<FN>Zed</FN>", photo(PNG)),
            f"<prefs xmlns='{MAM}' default='always'><always><jid>{FAR}</jid></always></prefs>")


def fill(s, user, peer):
    """All that the account USER can have.  PEER helps, and is removed as well."""
    first_login(s, user=user)[0].end()
    c = s.client(user=user)
    for payload in queries(c):
        c.result("set", payload)
    c.message(c.bare, "a note to myself")
    c.take("message", body="a note to myself")
    c.end()
    peer.message(c.bare, "you are away")
    peer.message(c.bare, payload=mark("displayed", "1"))
    peer.expect_nothing()
    c = s.client(user=user, priority=-1)
    c.enable(auto=False)
    peer.message(c.jid, "not acknowledged")
    c.take("message", body="not acknowledged")
    c.drop()
    s.ctl("users", "role", c.bare, "operator")
    s.control("invites.create", host=DOMAIN, inviter=c.bare)
    s.control("groups.set", id="group", host=DOMAIN)
    s.control("groups.add", id="group", host=DOMAIN, account=c.bare)


def left_of(s, user):
    s.stop()  # all that was put off is written
    return tables_with(f"{s.folder}/data.db", user)


def test_nothing_is_left():
    config = {"plugins": {name: {} for name in PLUGINS}}
    config["plugins"]["stream_mgmt"] = {"spool_after": "100ms"}
    config["plugins"]["register"] = {"open": True, "approval": True}
    with Server(config, sqlite=True) as s:
        s.ctl("motd", "set", f"host={DOMAIN}", "body=news of the day")
        s.ctl("welcome", "set", f"host={DOMAIN}", "body=welcome")
        user, newcomer, peer = s.account("zaphod"), s.account("zaphod-newcomer"), s.client("peer")
        for body in ("welcome", "news of the day"):
            peer.take("message", body=body)
        fill(s, user, peer)
        assert register(stranger(s), "zaphod-waiting").get("type") == "result"
        filled = left_of(s, "zaphod")
        missing = by_account() - filled - set(EXEMPT)
        assert {"invites", "shared_group_member"} <= filled, "kept by host, and yet of the account"
        assert not missing, f"the account has no data in {sorted(missing)}: give it some, so that it can be missed"
        s.start()
        for account in (peer.user, user, newcomer, "zaphod-waiting"):
            s.control("users.del", account=f"{account}@{DOMAIN}")
        left = left_of(s, "zaphod")
        assert not left, f"what is left of the account is in {sorted(left)}"
        s.start()


def test_leftovers_are_found():
    """The scan finds what it is to find."""
    with Server(sqlite=True) as s:
        user = s.account("zaphod")
        c = s.client(user=user)
        c.result("set", f"<query xmlns='{NS['roster']}'><item jid='{FAR}'/></query>")
        left = left_of(s, user)
        assert "roster" in left and left < by_account() | {"accounts", "auth_internal", "users"}, left
        assert left_of(s, "nobody-has-this-name") == set()
        s.start()
