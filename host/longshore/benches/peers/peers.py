"""What others do with SQLite on this disk, in messages a second: prints one JSON object.

usage: peers.py DIRECTORY MESSAGES
"""

import json
import os
import sqlite3
import sys
import time

from litequeue import LiteQueue

BODY = json.dumps({"order_id": "o-000001", "msg": "two books and a pen, please deliver soon"})


def rate(count, work):
    started = time.perf_counter()
    work()
    return round(count / (time.perf_counter() - started))


def litequeue(path, count):
    queue = LiteQueue(path)
    put = rate(count, lambda: [queue.put(BODY) for _ in range(count)])

    def take():
        for _ in range(count):
            queue.done(queue.pop().message_id)

    return {"send": put, "take": rate(count, take)}


def raw(path, count, batch=32):
    """Lease and delete with nothing between, in transactions of 32, as durable as ours."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE m (id INTEGER PRIMARY KEY, visible INTEGER NOT NULL, body BLOB NOT NULL);"
        "CREATE INDEX m_visible ON m (visible)"
    )
    db.execute("BEGIN")
    db.executemany("INSERT INTO m (visible, body) VALUES (0, ?)", [(BODY,)] * count)
    db.execute("COMMIT")

    def take():
        for _ in range(0, count, batch):
            db.execute("BEGIN IMMEDIATE")
            rows = db.execute("SELECT id, body FROM m WHERE visible <= 1 ORDER BY visible, id LIMIT ?", (batch,)).fetchall()
            db.executemany("UPDATE m SET visible = 2 WHERE id = ?", [(row[0],) for row in rows])
            db.execute("COMMIT")
            db.execute("BEGIN IMMEDIATE")
            db.executemany("DELETE FROM m WHERE id = ?", [(row[0],) for row in rows])
            db.execute("COMMIT")

    return {"take": rate(count, take)}


directory, messages = sys.argv[1], int(sys.argv[2])
print(
    json.dumps(
        {
            "litequeue": litequeue(os.path.join(directory, "litequeue.db"), min(messages, 3000)),
            "raw_python": raw(os.path.join(directory, "raw-python.db"), messages),
        }
    )
)
