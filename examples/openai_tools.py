"""An agent on the OpenAI API whose model asks for the same e-mail twice: it is sent once.

Run it: `python examples/openai_tools.py`. It needs no key and no network: the client is the real one, and a script
plays the model. Put your key in and take `http_client` out, and it talks to OpenAI.
"""

from __future__ import annotations

import json

import httpx
from openai import OpenAI

from ledger import guard

sent = []


def send_email(to: str, subject: str) -> dict:
    """Send an e-mail."""
    sent.append(to)
    return {"status": "sent", "to": to}


def search(query: str) -> list[str]:
    """Look something up."""
    return [f"about {query}"]


# The two lines that make it exactly-once. What only reads always runs.
tools = guard.wrap_tools({"send_email": send_email, "search": search}, blocked_return={"status": "already sent"})
guard.policy(search, unlimited=True)


def run(client: OpenAI, prompt: str) -> str:
    """The usual loop: ask the model, do what it asks for, until it has an answer."""
    messages: list = [{"role": "user", "content": prompt}]
    while True:
        message = client.chat.completions.create(model="gpt-5-mini", messages=messages).choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message)
        for call in message.tool_calls:
            result = tools[call.function.name](**json.loads(call.function.arguments))
            print(f"{call.id}: {call.function.name} -> {json.dumps(result)}")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})


def _scripted(request: httpx.Request) -> httpx.Response:
    """A model that looks something up, sends an e-mail, gets nervous, and sends it again."""
    turn = sum(m["role"] == "tool" for m in json.loads(request.content)["messages"])
    mail = ("send_email", {"to": "ada@example.com", "subject": "Invoice"})
    plan = [("search", {"query": "Ada"}), mail, mail]
    message: dict = {"role": "assistant", "content": "The e-mail is on its way."}
    if turn < len(plan):
        name, arguments = plan[turn]
        function = {"name": name, "arguments": json.dumps(arguments)}
        message = {
            "role": "assistant",
            "tool_calls": [{"id": f"call_{turn}", "type": "function", "function": function}],
        }
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return httpx.Response(
        200, json={"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    )


def main() -> None:
    """Play it with the scripted model."""
    with guard.workflow("invoice-7"), httpx.Client(transport=httpx.MockTransport(_scripted)) as http:
        print(run(OpenAI(api_key="none", http_client=http), "Send Ada her invoice."))
    print(f"sent {len(sent)} e-mail(s)")
    guard.log()


if __name__ == "__main__":
    main()
