#!/usr/bin/env python3
"""A worker in Python, in one file that needs nothing but Python 3.9.

It claims tasks of the type "count_words" from a TaskForge server, runs two at a time, renews what it holds, and says how
each one ended. Stop it with Ctrl-C or SIGTERM: it finishes what it runs. Kill it, and another worker has its tasks again.

    TASKFORGE_URL=http://localhost:8080 TASKFORGE_API_KEY=tf_... python3 examples/worker.py
    curl $TASKFORGE_URL/api/v1/tasks -H 'content-type: application/json' \\
         -d '{"type": "count_words", "payload": {"text": "to be or not to be"}}'

To make it yours, change TYPE, DEFINITION and run().
"""
import json
import os
import random
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("TASKFORGE_URL", "http://localhost:8080").rstrip("/")
KEY = os.environ.get("TASKFORGE_API_KEY", "")
SLOTS = 2
LEASE = os.environ.get("TASKFORGE_LEASE", "30s")

TYPE = "count_words"
DEFINITION = {
    "description": "Counts the words of a text",
    "payload": {
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {"text": {"type": "string"}, "seconds": {"type": "number", "minimum": 0}},
    },
    "result": {"type": "object", "required": ["words"], "properties": {"words": {"type": "integer"}}},
    "retry": {"times": 3, "delay": "1s"},
    "timeout": "5m",
}


class Stopped(Exception):
    """The task was cancelled, ran out of time, or belongs to another worker."""


class Hopeless(Exception):
    """No other attempt would do better."""


def run(payload, attempt):
    """The work itself. What it raises fails the attempt, and the policy of the type decides whether it is tried again."""
    words = payload["text"].split()
    attempt.log(f"attempt {attempt.number}: {len(words)} words")
    seconds = payload.get("seconds", 0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        attempt.check()
        attempt.progress(1 - (end - time.monotonic()) / seconds)
        time.sleep(0.1)
    return {"words": len(words)}


def ask(path, body, method="POST"):
    """One request. Raises urllib.error.HTTPError for an answer that is none of success, OSError for none at all."""
    headers = {"content-type": "application/json"}
    if KEY:
        headers["authorization"] = f"Bearer {KEY}"
    request = urllib.request.Request(f"{URL}/api/v1/{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def until_answered(path, body, method="POST"):
    """The same, again and again while the server is away or busy: every request of the protocol may be sent twice."""
    wait = 0.2
    while True:
        try:
            return ask(path, body, method)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 500, 502, 503, 504):
                raise RuntimeError(f"{path}: {error.code} {error.read().decode()}") from error
        except OSError:
            pass
        time.sleep(wait * random.uniform(0.8, 1.2))
        wait = min(wait * 2, 5)


class Attempt:
    """A claimed task, while it runs."""

    def __init__(self, claim):
        self.token = claim["token"]
        self.task = claim["task"]
        self.number = self.task["attempt"]
        self.state = "held"
        self.lines = []
        self.fraction = None
        timeout = claim["timeout_ms"]
        self.deadline = None if timeout is None else time.monotonic() + timeout / 1000

    def check(self):
        """To be called now and then: raises Stopped when the work is of no use any more."""
        if self.state == "held" and self.deadline is not None and time.monotonic() > self.deadline:
            self.state = "timeout"
        if self.state != "held":
            raise Stopped(self.state)

    def progress(self, fraction):
        self.fraction = max(0.0, min(1.0, fraction))

    def log(self, text, level="info"):
        if len(self.lines) < 500:
            self.lines.append({"text": text[:4000], "level": level})

    def end(self):
        """Runs the task, and says how that ended."""
        try:
            return {"end": "complete", "result": run(self.task["payload"], self)}
        except Stopped:
            return {"end": self.state} if self.state in ("cancel", "timeout") else None
        except Hopeless as error:
            return {"end": "fail", "error": {"tag": "Hopeless", "message": str(error)}, "retry": False}
        except Exception as error:  # anything else may go better next time
            return {"end": "fail", "error": {"tag": type(error).__name__, "message": str(error)}}


class Worker:
    def __init__(self):
        self.name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self.held = {}
        self.lock = threading.Lock()
        self.free = threading.Semaphore(SLOTS)
        self.stopping = threading.Event()
        self.beat_every = None
        self.some = threading.Event()

    def tell(self, attempts):
        """Sends what attempts have logged and how far they are. What is lost of that is not worth a failed task."""
        logs, reports = [], []
        for attempt in attempts:
            lines, attempt.lines = attempt.lines, []
            if lines:
                logs.append({"token": attempt.token, "lines": lines})
            fraction, attempt.fraction = attempt.fraction, None
            if fraction is not None:
                reports.append({"token": attempt.token, "progress": fraction})
        try:
            if logs:
                ask("claims/log", {"claims": logs})
            if reports:
                ask("claims/progress", {"claims": reports})
        except OSError:
            pass

    def keep(self):
        """Renews what is held three times in a lease, in a thread that does no work."""
        self.some.wait()
        while True:
            time.sleep(self.beat_every)
            with self.lock:
                attempts = list(self.held.values())
            if not attempts:
                continue
            try:
                answer = ask("claims/extend", {"claims": [{"token": one.token} for one in attempts], "lease": LEASE})
                for attempt, claim in zip(attempts, answer["claims"]):
                    if claim["state"] != "held":
                        attempt.state = claim["state"]
            except OSError:
                continue  # held until the lease has run out: the next beat may get through
            self.tell(attempts)

    def work(self, attempt):
        try:
            end = attempt.end()
            self.tell([attempt])
            if end is not None:
                answer = until_answered("claims/settle", {"claims": [{"token": attempt.token, **end}]})
                print(attempt.task["id"], answer["claims"][0], flush=True)
        finally:
            with self.lock:
                del self.held[attempt.token]
            self.free.release()

    def claim(self):
        """Claims as many tasks as there is room for, and waits for the first one."""
        self.free.acquire()
        count = 1
        while count < SLOTS and self.free.acquire(blocking=False):
            count += 1
        taken = 0
        try:
            if self.stopping.is_set():
                return
            order = {
                "worker": {"name": self.name, "host": socket.gethostname(), "pid": os.getpid(), "slots": SLOTS},
                "types": [TYPE],
                "max": count,
                "wait": "20s",
                "lease": LEASE,
                "request": uuid.uuid4().hex,
            }
            for claim in until_answered("claims", order)["claims"]:
                if self.stopping.is_set():
                    until_answered("claims/settle", {"claims": [{"token": claim["token"], "end": "release"}]})
                    continue
                self.beat_every = claim["lease_ms"] / 3000
                self.some.set()
                attempt = Attempt(claim)
                with self.lock:
                    self.held[attempt.token] = attempt
                taken += 1
                threading.Thread(target=self.work, args=[attempt]).start()
        finally:
            for _ in range(count - taken):
                self.free.release()

    def main(self):
        until_answered(f"definitions/{TYPE}", DEFINITION, "PUT")
        threading.Thread(target=self.keep, daemon=True).start()
        print(f"working on {TYPE} as {self.name}", flush=True)
        claiming = threading.Thread(target=self.claim_all, daemon=True)
        claiming.start()
        self.stopping.wait()
        # What a request that waits might still be given goes back as well: the server sees that it is gone
        claiming.join(timeout=1)
        while True:
            with self.lock:
                if not self.held:
                    break
            time.sleep(0.05)

    def claim_all(self):
        while not self.stopping.is_set():
            try:
                self.claim()
            except RuntimeError as error:
                print(error, flush=True)
                os._exit(1)


if __name__ == "__main__":
    worker = Worker()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: worker.stopping.set())
    worker.main()
