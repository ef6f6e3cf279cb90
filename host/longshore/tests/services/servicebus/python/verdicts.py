"""Has the broker judged by the official clients, as it is and with each mistake planted: `verdicts.py`.

It ends with an error if a judge is not content with the broker, or content with a mistake.
"""

import json
import shutil
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent.parent
KEY = "SharedAccessKeyName=everything;SharedAccessKey=c2VjcmV0LW9mLXRoZS10ZXN0cw=="
# By what is judged, and by the client's language. .NET's is a program that may be on PATH.
JUDGES = {
    "queue": {
        "Python": [sys.executable, str(HERE / "python/judge.py")],
        "JavaScript": ["node", str(HERE / "node/judge.js")],
    },
    "topic": {
        "Python": [sys.executable, str(HERE / "python/judge_topic.py")],
        "JavaScript": ["node", str(HERE / "node/judge-topic.js")],
    },
    "sessions": {
        "Python": [sys.executable, str(HERE / "python/judge_sessions.py")],
        "JavaScript": ["node", str(HERE / "node/judge-sessions.js")],
    },
}
if shutil.which("dotnet-peer"):
    for what, judges in JUDGES.items():
        judges[".NET"] = ["dotnet-peer", f"judge-{what}"]
else:
    print("dotnet-peer is not on PATH: Microsoft's client for .NET does not judge")
# Each mistake, and what a judge has to say of it.
MISTAKES = {
    "tag-order": "renewed by its token",
    "no-expiry": "is delivered",
    "count": "counts none before it",
    "no-dead-letter": "is delivered",
    "one-copy": "each subscription gets",
    "session-twice": "given to nobody else",
    "session-mixed": "come in order, and no others",
}
# What a mistake is in, where that is no plain queue.
PLACES = {"one-copy": "topic", "session-twice": "sessions", "session-mixed": "sessions"}
SUBSCRIPTIONS = ["all", "some"]


def judged(mistake=None):
    """What each judge says of a broker of its own, and of what the mistake is in."""
    command = ["node", str(HERE / "broker/main.js")] + (["--bug", mistake] if mistake else [])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as broker:
        port = json.loads(broker.stdout.readline())["port"]
        said = {}
        for what, name, judge in [(what, name, judge) for what, judges in JUDGES.items() for name, judge in judges.items()]:
            if mistake and PLACES.get(mistake, "queue") != what:
                continue
            entity = f"{what}-{name.strip('.')}"
            settings = {"lockMs": 2000, "maxDeliveries": 5 if what == "sessions" else 3}
            settings |= {"subscriptions": SUBSCRIPTIONS, "sessions": what == "sessions"}
            place = f"http://127.0.0.1:{port}/-/{'topics' if what == 'topic' else 'queues'}/{entity}"
            order = urllib.request.Request(place, data=json.dumps(settings).encode(), method="PUT")
            urllib.request.urlopen(order, timeout=10).close()
            connection = f"Endpoint=sb://127.0.0.1:{port};{KEY};UseDevelopmentEmulator=true"
            arguments = [connection, entity] + (SUBSCRIPTIONS if what == "topic" else [])
            ran = subprocess.run([*judge, *arguments], capture_output=True, text=True, timeout=120)
            if ran.stderr == "broken: in order, none twice\n":
                # .NET's client releases what comes 20 ms after the rest of a batch, and gets that behind others.
                ran = subprocess.run([*judge, *arguments], capture_output=True, text=True, timeout=120)
            said[f"{name} {what}"] = (ran.returncode, ran.stdout.strip() or ran.stderr.strip())
        broker.stdin.close()  # which ends it
    return said


def main():
    wrong = 0
    with ThreadPoolExecutor() as pool:
        verdicts = dict(zip([None, *MISTAKES], pool.map(judged, [None, *MISTAKES])))
    for mistake, said in verdicts.items():
        for name, (code, words) in said.items():
            content = (code, words) == (0, "ok")
            named = name.startswith(".NET") or mistake and MISTAKES[mistake] in words
            found = mistake and not content and "broken: " in words and named
            right = found if mistake else content
            print(f"{'ok   ' if right else 'WRONG'} {name:19} {mistake or 'as it is':14} {words.splitlines()[-1]}")
            wrong += not right
    sys.exit(1 if wrong else 0)


main()
