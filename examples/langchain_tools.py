"""LangChain tools whose model charges twice: the card is charged once, and both calls get the receipt.

Run it: `python examples/langchain_tools.py`. It needs no key and no network: langchain-core is the real one, and a
script plays the model. Take any chat model with `bind_tools` instead.
"""

from __future__ import annotations

from langchain_core import tools
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import StructuredTool

from ledger import guard

charged = []


def charge_card(customer: str, amount: float) -> str:
    """Charge a customer's card."""
    charged.append((customer, amount))
    return f"receipt {len(charged)}: {customer} paid {amount:.2f}"


@tools.tool
def find_customer(name: str) -> str:
    """Find a customer's id."""
    return f"cus_{name.lower()}"


# Tool objects and functions alike. A replayed tool answers a retry with the recorded result.
guard.policy(charge_card, replay=True)
guard.policy(find_customer, unlimited=True)
TOOLS = {t.name: t for t in guard.wrap_tools([StructuredTool.from_function(charge_card), find_customer])}


def run(model: GenericFakeChatModel, prompt: str) -> str:
    """The usual loop: ask the model, run the tools it calls, until it has an answer."""
    messages: list = [HumanMessage(prompt)]
    while True:
        answer = model.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            return str(answer.content)
        for call in answer.tool_calls:
            result = TOOLS[call["name"]].invoke(call)
            print(f"{call['id']}: {call['name']} -> {result.content}")
            messages.append(result)


def _call(id: str, tool: str, /, **arguments: object) -> AIMessage:
    return AIMessage("", tool_calls=[{"id": id, "name": tool, "args": arguments, "type": "tool_call"}])


def main() -> None:
    """Play it with a scripted model, which calls the same tool again under another id."""
    script = [
        _call("call_0", "find_customer", name="Ada"),
        _call("call_1", "charge_card", customer="cus_ada", amount=49.0),
        _call("call_2", "charge_card", amount=49, customer="cus_ada"),
        AIMessage("Ada has paid."),
    ]
    with guard.workflow("order-42"):
        print(run(GenericFakeChatModel(messages=iter(script)), "Charge Ada 49 dollars."))
    print(f"charged {len(charged)} time(s)")
    guard.log()


if __name__ == "__main__":
    main()
