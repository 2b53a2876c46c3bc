"""A server that speaks the OpenAI protocol and is often in a bad mood. Each request's first answers fail in a way that depends on
its words alone; every request is written to a log."""

import hashlib
import json
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

MOODS = ("well", "busy", "broken", "not json", "no choices", "empty", "marked", "cut", "slow")


class Server(ThreadingHTTPServer):
    """Answers at `url` from its beginning to its `stop`. While `sulking`, it refuses every request."""

    daemon_threads = True

    def __init__(self, log: Path, key: str | None = None):
        super().__init__(("127.0.0.1", 0), Moody)
        self.log, self.key, self.sulking = log, key, False
        self.lock, self.asked = Lock(), Counter()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Moody(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece, or the next one waits for its acknowledgement

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.asked[words] += 1
            time_of = self.server.asked[words]
        self.asked = {"words": words[-60:], "seed": body["seed"]}
        if self.server.key and self.headers["authorization"] != f"Bearer {self.server.key}":
            return self.say(401, {"error": f"wrong key {self.headers['authorization']}"})
        if "NEVER" in words:
            return self.say(200, told("", 5, 0))
        if "SLOWLY" in words:
            time.sleep(0.3)
            return self.say(200, told(f"Thought {len(words)}.", 5, 1))
        if "FORBIDDEN" in words:
            time.sleep(0.1)
            return self.say(403, {"error": "not for you"})
        if "BROKE" in words:
            return self.say(402, {"error": "top up"})
        if "LATER" in words:
            return self.say(429, {"error": "slow down"}, {"retry-after": "60"})
        if self.server.sulking:
            return self.say(422, {"error": f"max_tokens is too large, {self.headers['authorization']}"})
        if "REFUSE" in words:
            return self.say(400, {"error": "against the rules"})
        mood = MOODS[hashlib.md5(words.encode()).digest()[0] % len(MOODS)] if time_of == 1 else "well"
        if mood == "busy":
            return self.say(429, {"error": "slow down"}, {"retry-after": "0.01"})
        if mood == "broken":
            return self.say(500, None, raw=b"<html>oops</html>")
        if mood == "not json":
            return self.say(200, None, raw=b'{"choices": [')
        if mood == "no choices":
            return self.say(200, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}})
        if mood == "slow":
            time.sleep(0.02)
        text = {"empty": "  ", "marked": "a <|END_OF_LATENT|> b"}.get(mood, f"Thought {len(words)}.")
        return self.say(200, told(text, len(words), 3, "length" if mood == "cut" else "stop"))

    def say(self, status, body, headers=None, raw=None):
        with self.server.lock, self.server.log.open("a") as log:
            log.write(json.dumps({**self.asked, "status": status}) + "\n")
        out = raw if raw is not None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)
        self.wfile.flush()

    def log_message(self, *_):
        pass


def told(text, read, written, reason="stop"):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"choices": [choice], "usage": {"prompt_tokens": read, "completion_tokens": written}}
