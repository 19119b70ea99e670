# SPDX-License-Identifier: Apache-2.0
"""
Makes user0 of a SQLite database user0 to userN-1, each with contacts on both sides, subscribed both ways.
    storm_fill.py FILE ACCOUNTS CONTACTS
"""
import sqlite3
import sys

path, accounts, contacts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BOTH_LISTED = 1 + 2 + 32
jid = [f"user{i}@localhost" for i in range(accounts)]
with sqlite3.connect(path) as db:
    columns = [row[1] for row in db.execute("PRAGMA table_info(accounts)")]
    first = db.execute("SELECT * FROM accounts WHERE username = 'user0'").fetchone()
    name = columns.index("username")
    db.executemany(f"INSERT INTO accounts VALUES ({','.join('?' * len(columns))})",
                   ([*first[:name], f"user{i}", *first[name + 1:]] for i in range(1, accounts)))
    steps = [step for n in range(1, contacts // 2 + 1) for step in (n, -n)]
    db.executemany("INSERT INTO roster(owner, contact, name, state, version, floor) VALUES (?, ?, ?, ?, 1, 1)",
                   ((jid[i], jid[(i + step) % accounts], f"Friend {step}", BOTH_LISTED)
                    for i in range(accounts) for step in steps))
