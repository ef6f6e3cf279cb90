"""Whether sessions were worked off in order: `judge_order.py SESSIONS MESSAGES LOG…`.

The logs are those of all runs that shared the queue, killed ones among them. The messages are called `sSESSION-NUMBER`.
"""

import json
import re
import sys
from datetime import datetime, timedelta

sessions, messages = int(sys.argv[1]), int(sys.argv[2])
events = []
for run, path in enumerate(sys.argv[3:]):
    with open(path, encoding="utf-8") as log:
        for line in log:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # what a kill has left of a line
            text = json.dumps(told)
            handled = re.search(r"handled order (s\d+)-(\d+)", text)
            failed = re.search(r'"message_id": "(s\d+)-(\d+)"', text)
            said = datetime.fromisoformat(told["timestamp"]) if "timestamp" in told else None
            if handled:
                events.append((said, handled[1], int(handled[2]), "handled", run))
            elif failed and '"outcome": "retried"' in text:
                # A retry is said when it is settled. A link that was cut is attached again for that, and others have the session by then:
                # what is judged is when the handler was called.
                events.append((said - timedelta(milliseconds=told["ms"]), failed[1], int(failed[2]), "retried", run))
            elif failed and '"outcome": "poisoned"' in text:
                events.append((said, failed[1], int(failed[2]), "poisoned", run))

newest, seen, twice = {}, {}, 0
for when, session, number, what, _ in sorted(events):
    before = newest.get(session, -1)
    # What is poisoned is said when it is settled, and the next message may have come by then.
    if what != "poisoned":
        if number < before:
            told = [f"{at} {it}-{n} {did} by run {run}" for at, it, n, did, run in sorted(events) if it == session]
            sys.exit("\n".join([*told, f"broken: {session}-{number} was {what} at {when}, after {session}-{before}"]))
        newest[session] = number
    known = seen.setdefault((session, number), [])
    twice += what == "handled" and "handled" in known
    known.append(what)
if len(newest) != sessions:
    sys.exit(f"broken: {len(newest)} sessions of {sessions} were worked off")
ended = sum(1 for known in seen.values() if known[-1] != "retried")
kinds = {kind: sum(known.count(kind) for known in seen.values()) for kind in ("handled", "retried", "poisoned")}
# A kill may take the line of a message that it was too late to stop.
if ended < sessions * messages - 8 * 16:
    sys.exit(f"broken: {ended} messages of {sessions * messages} came to an end")
print(f"ok: {ended} messages of {sessions} sessions in order: {kinds}, {twice} handled twice")
