"""Record the cassettes of tests/test_hosted.py: python record.py (it needs the package openai, and no key).

In place of a hosted model a small server on this machine answers, which reads the transcript with regular expressions.
With a model of your own, set OPENAI_BASE_URL and OPENAI_API_KEY and run pytest --stateset-record.
"""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


def reply(messages: list[dict[str, str]]) -> str:
    """What the model answers: an action for the next thing that is missing."""
    shown = "\n".join(message["content"] for message in messages if message["role"] == "user")
    email = re.search(r"[\w.]+@[\w.]+\w", shown)
    order = re.search(r"\bO\d+\b", shown)
    record = re.search(r"\[get_order\] (O\d+): status (\w+);.*? total (\d+);", shown)
    if not email:
        return action("ask", field="email", message="What is your e-mail address?")
    if "[find_customer]" not in shown:
        return "I will look you up first.\n" + action("find_customer", email=email[0])
    if not order:
        return action("ask", field="order_id", message="Which order is it?")
    if not record:
        return action("get_order", order_id=order[0])
    if any('"inform"' in message["content"] for message in messages if message["role"] == "assistant"):
        return action("close")
    first = shown.split("\n[", 1)[0]
    about_money = re.search(r"total|cost|price|paid|pay|amount|sum|much|charge", first)
    claim = {"about": record[1], "field": "total", "value": int(record[3])}
    if not about_money:
        claim |= {"field": "status", "value": record[2]}
    return action("inform", claims=[claim])


def action(kind: str, **fields: object) -> str:
    """An action as the model writes it."""
    return json.dumps({"type": kind, **fields})


class Handler(BaseHTTPRequestHandler):
    """Chat completions, as OpenAI's API has them."""

    def do_POST(self) -> None:
        """Answer a request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = reply(asked["messages"])
        usage = {"prompt_tokens": len(str(asked["messages"])) // 4, "completion_tokens": len(text) // 4}
        answer = {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 0,
            "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": usage | {"total_tokens": sum(usage.values())},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed for each request."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    command = [sys.executable, "-m", "pytest", "--stateset-record", "tests/test_hosted.py", *sys.argv[1:]]
    done = subprocess.run(command, env=os.environ | {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "none"})
    sys.exit(done.returncode)
