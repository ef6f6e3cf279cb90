"""Has the broker judged by both official clients, as it is and with each mistake planted: `verdicts.py`.

It ends with an error if a judge is not content with the broker, or content with a mistake.
"""

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent.parent
KEY = "SharedAccessKeyName=everything;SharedAccessKey=c2VjcmV0LW9mLXRoZS10ZXN0cw=="
JUDGES = {
    "Python": [sys.executable, str(HERE / "python/judge.py")],
    "JavaScript": ["node", str(HERE / "node/judge.js")],
}
# Each mistake, and what a judge has to say of it.
MISTAKES = {
    "tag-order": "renewed by its token",
    "no-expiry": "is delivered",
    "count": "counts none before it",
    "no-dead-letter": "is delivered",
}


def judged(mistake=None):
    """What each judge says of a broker of its own."""
    command = ["node", str(HERE / "broker/main.js")] + (["--bug", mistake] if mistake else [])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as broker:
        port = json.loads(broker.stdout.readline())["port"]
        said = {}
        for name, judge in JUDGES.items():
            settings = json.dumps({"lockMs": 2000, "maxDeliveries": 3}).encode()
            order = urllib.request.Request(f"http://127.0.0.1:{port}/-/queues/{name}", data=settings, method="PUT")
            urllib.request.urlopen(order, timeout=10).close()
            connection = f"Endpoint=sb://127.0.0.1:{port};{KEY};UseDevelopmentEmulator=true"
            ran = subprocess.run([*judge, connection, name], capture_output=True, text=True, timeout=120)
            said[name] = (ran.returncode, ran.stdout.strip() or ran.stderr.strip())
        broker.stdin.close()  # which ends it
    return said


def main():
    wrong = 0
    with ThreadPoolExecutor() as pool:
        verdicts = dict(zip([None, *MISTAKES], pool.map(judged, [None, *MISTAKES])))
    for mistake, said in verdicts.items():
        for name, (code, words) in said.items():
            content = (code, words) == (0, "ok")
            found = mistake and not content and "broken: " in words and MISTAKES[mistake] in words
            right = found if mistake else content
            print(f"{'ok   ' if right else 'WRONG'} {name:10} {mistake or 'as it is':14} {words.splitlines()[-1]}")
            wrong += not right
    sys.exit(1 if wrong else 0)


main()
