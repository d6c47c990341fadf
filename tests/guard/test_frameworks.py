"""Agent frameworks, the real packages: they see the same schema as before, and retries have one effect."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from agents import FunctionTool, RunContextWrapper, function_tool
from agents.tool_context import ToolContext
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import (
    BaseTool,
    InjectedToolArg,
    InjectedToolCallId,
    StructuredTool,
    Tool,
    ToolException,
    tool,
)
from langchain_core.tools.base import _DirectlyInjectedToolArg
from langchain_core.utils.function_calling import convert_to_openai_tool
from mcp.server.fastmcp import Context

from ledger import Guard, OutcomeUnknown
from ledger.functions import known
from ledger.injected import is_injected

sent: list[object] = []


class Customer(InjectedToolArg):
    """One that the program made."""


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    sent.clear()


def send_email(to: str, subject: str = "hello", copies: int | None = None) -> str:
    """Send an e-mail.

    Args:
        to: Whom it goes to.
        subject: What it is about.
        copies: How many.
    """
    if to == "nobody@x.com":
        raise ToolException("no such mailbox")
    if to == "slow@x.com":
        sent.append(to)
        raise TimeoutError("no answer")
    sent.append(to)
    return f"sent to {to}"


async def post_webhook(url: str, payload: dict[str, int]) -> str:
    """Post one."""
    sent.append(url)
    return "ok"


def context(call_id: str) -> ToolContext[None]:
    return ToolContext(context=None, tool_name="t", tool_call_id=call_id, tool_arguments="{}")


async def invoke(tool: FunctionTool, call_id: str = "call_0", **arguments: object) -> Any:
    return await tool.on_invoke_tool(context(call_id), json.dumps(arguments))


class TestSchemas:
    """A wrapped function is to a framework what the function was."""

    @pytest.mark.parametrize("fn", [send_email, post_webhook])
    def test_langchain(self, guard: Guard, fn: Any) -> None:
        [wrapped] = guard.wrap_tools([fn])
        as_coroutine = {"coroutine": wrapped} if known(fn).awaited else {"func": wrapped}
        before = StructuredTool.from_function(**dict.fromkeys(as_coroutine, fn), parse_docstring=False)
        after = StructuredTool.from_function(**as_coroutine)
        assert convert_to_openai_tool(after) == convert_to_openai_tool(before)
        assert convert_to_openai_tool(tool(wrapped)) == convert_to_openai_tool(tool(fn))
        assert convert_to_openai_tool(wrapped) == convert_to_openai_tool(fn)

    @pytest.mark.parametrize("fn", [send_email, post_webhook])
    def test_openai_agents(self, guard: Guard, fn: Any) -> None:
        before, after = function_tool(fn, strict_mode=False), function_tool(guard.once(fn), strict_mode=False)
        assert after.params_json_schema == before.params_json_schema
        assert (after.name, after.description) == (before.name, before.description)


class TestLangChainTools:
    """Tool objects themselves, protected; Ledger-Once forbade that."""

    def test_a_structured_tool(self, guard: Guard) -> None:
        raw = StructuredTool.from_function(send_email, tags=["mail"])
        [safe] = guard.wrap_tools([raw], blocked_return="already sent")
        assert convert_to_openai_tool(safe) == convert_to_openai_tool(raw)
        assert (type(safe), safe.tags) == (StructuredTool, ["mail"])
        assert safe.invoke({"to": "a@x.com"}) == "sent to a@x.com"
        assert safe.invoke({"subject": "hello", "to": "a@x.com"}) == "already sent"
        raw.invoke({"to": "b@x.com"})
        assert sent == ["a@x.com", "b@x.com"], "the tool that was given is left as it was"

    def test_a_tool_call_of_a_model_with_another_id_is_a_retry(self, guard: Guard) -> None:
        guard.policy("send_email", replay=True)
        [safe] = guard.wrap_tools([tool(send_email)])
        call = {"name": "send_email", "args": {"to": "a@x.com"}, "type": "tool_call"}
        told = [safe.invoke({**call, "id": f"call_{n}"}) for n in range(2)]
        assert [(m.content, m.tool_call_id) for m in told] == [
            ("sent to a@x.com", "call_0"),
            ("sent to a@x.com", "call_1"),
        ]
        assert sent == ["a@x.com"]

    async def test_both_ways_of_calling_are_one_operation(self, guard: Guard) -> None:
        async def asend(to: str) -> str:
            """Send one."""
            sent.append(to)
            return "sent"

        def send(to: str) -> str:
            """Send one."""
            sent.append(to)
            return "sent"

        [safe] = guard.wrap_tools([StructuredTool.from_function(send, coroutine=asend, name="send")])
        assert [await safe.ainvoke({"to": "a"}), safe.invoke({"to": "a"})] == ["sent", None]
        assert sent == ["a"]

    async def test_a_tool_class(self, guard: Guard) -> None:
        class Mailer(BaseTool):
            name: str = "mailer"
            description: str = "Sends."

            def _run(self, to: str, run_manager: Any = None, config: RunnableConfig | None = None) -> str:
                sent.append(to)
                return "sent"

        raw = Mailer()
        [safe] = guard.wrap_tools([raw])
        assert convert_to_openai_tool(safe) == convert_to_openai_tool(raw)
        assert [safe.invoke({"to": "a"}), await safe.ainvoke({"to": "a"})] == ["sent", None]
        assert raw.invoke({"to": "a"}) == "sent"
        assert sent == ["a", "a"]

    def test_a_simple_tool(self, guard: Guard) -> None:
        raw = Tool("shout", lambda text: sent.append(text) or text.upper(), "Shouts.")
        [safe] = guard.wrap_tools([raw])
        assert [safe.invoke("a"), safe.invoke("a")] == ["A", None]

    def test_a_failure_may_be_tried_again_and_an_open_end_is_held(self, guard: Guard) -> None:
        [safe] = guard.wrap_tools([tool(send_email)])
        safe.handle_tool_error = True
        assert [safe.invoke({"to": "nobody@x.com"}) for _ in range(2)] == ["no such mailbox"] * 2
        assert guard.stats()["failed"] == 2
        with pytest.raises(TimeoutError):
            safe.invoke({"to": "slow@x.com"})
        with pytest.raises(OutcomeUnknown):
            safe.invoke({"to": "slow@x.com"})
        assert sent == ["slow@x.com"]

    def test_tools_of_one_factory_are_told_apart_by_their_names(self, guard: Guard) -> None:
        def make(channel: str) -> StructuredTool:
            def notify(text: str) -> str:
                """Notify."""
                sent.append((channel, text))
                return channel

            return StructuredTool.from_function(notify, name=f"notify_{channel}")

        slack, sms = guard.wrap_tools([make("slack"), make("sms")])
        assert [t.invoke({"text": "hi"}) for t in (slack, sms, slack)] == ["slack", "sms", None]

    def test_tools_of_one_name_from_two_packages_are_told_apart(self, guard: Guard) -> None:
        def make(module: str) -> StructuredTool:
            def send(to: str) -> str:
                """Send."""
                sent.append((module, to))
                return module

            send.__module__ = module
            return StructuredTool.from_function(send)

        [mail], [chat] = guard.wrap_tools([make("mail")]), guard.wrap_tools([make("chat")])
        assert [t.invoke({"to": "a"}) for t in (mail, chat, mail)] == ["mail", "chat", None]

    def test_policy_retry_force_and_history_take_the_object(self, guard: Guard) -> None:
        raw = tool(send_email)
        guard.policy(raw, max=2)
        [safe] = guard.wrap_tools([raw])
        for _ in range(3):
            safe.invoke({"to": "a"})
        assert len(sent) == 2
        guard.retry(safe, to="a")
        safe.invoke({"to": "a"})
        assert len(sent) == 3
        assert [row["runs"] for row in guard.history(tool=safe)] == [3]

    def test_a_policy_of_the_function_behind_it_holds(self, guard: Guard) -> None:
        guard.policy(send_email, max=2)
        [safe] = guard.wrap_tools([StructuredTool.from_function(send_email, name="mail")])
        for _ in range(3):
            safe.invoke({"to": "a"})
        assert len(sent) == 2


class TestOpenAIAgentsTools:
    async def test_a_function_tool(self, guard: Guard) -> None:
        raw = function_tool(send_email, strict_mode=False)
        [safe] = guard.wrap_tools([raw], blocked_return="already sent")
        assert isinstance(safe, FunctionTool)
        assert safe.params_json_schema == raw.params_json_schema
        told = [await invoke(safe, f"call_{n}", to="a@x.com") for n in range(2)]
        assert told == ["sent to a@x.com", "already sent"]
        await invoke(raw, to="b@x.com")
        assert sent == ["a@x.com", "b@x.com"]

    async def test_an_async_one_with_a_context(self, guard: Guard) -> None:
        @function_tool
        async def charge(ctx: RunContextWrapper[Any], amount: int) -> str:
            """Charge."""
            sent.append(amount)
            return "charged"

        guard.policy("charge", replay=True)
        tools = guard.wrap_tools({"charge": charge})
        assert [await invoke(tools["charge"], f"call_{n}", amount=5) for n in range(2)] == ["charged"] * 2
        assert sent == [5]

    async def test_a_failure_that_the_sdk_tells_the_model_is_a_failure_here(self, guard: Guard) -> None:
        [safe] = guard.wrap_tools([function_tool(send_email, strict_mode=False)])
        for _ in range(2):
            assert "An error occurred" in await invoke(safe, to="nobody@x.com")
        assert (guard.stats()["failed"], guard.stats()["executed"]) == (2, 0)

    async def test_an_open_end_is_held_and_the_model_is_told_so(self, guard: Guard) -> None:
        [safe] = guard.wrap_tools([function_tool(send_email, strict_mode=False)])
        await invoke(safe, to="slow@x.com")
        assert "do not try another way" in await invoke(safe, to="slow@x.com")
        assert sent == ["slow@x.com"]

    async def test_one_that_was_made_by_hand(self, guard: Guard) -> None:
        async def on_invoke(ctx: ToolContext[Any], told: str) -> str:
            sent.append(told)
            return "done"

        raw = FunctionTool(
            "hand", "By hand.", {"type": "object", "properties": {}}, on_invoke, strict_json_schema=False
        )
        [safe] = guard.wrap_tools([raw], blocked_return="blocked")
        assert [await invoke(safe, "c1", a=1), await invoke(safe, "c2", a=1), await invoke(safe, "c3", a=2)] == [
            *("done", "blocked", "done"),
        ]
        assert (await safe.on_invoke_tool(context("c4"), "no json"), len(sent)) == ("done", 3)

    async def test_one_from_an_mcp_server(self, guard: Guard) -> None:
        """All of them share one inner function; a failure of the server is a failure here."""
        from agents.mcp import MCPServer, MCPUtil
        from mcp.types import CallToolResult, TextContent
        from mcp.types import Tool as McpTool

        class Server(MCPServer):
            def __init__(self, name: str = "mail") -> None:
                super().__init__()
                self._name = name

            @property
            def name(self) -> str:
                return self._name

            async def call_tool(self, tool_name: str, arguments: Any, meta: Any = None) -> CallToolResult:
                sent.append((tool_name, arguments))
                if arguments == {"to": "nobody"}:
                    raise ValueError("no such mailbox")
                return CallToolResult(content=[TextContent(type="text", text=f"{tool_name} done")])

            async def unused(self, *_: Any, **__: Any) -> Any:
                raise NotImplementedError

            connect = cleanup = list_tools = list_prompts = get_prompt = unused

        def tool_named(name: str, server: str = "mail") -> FunctionTool:
            schema = {"type": "object", "properties": {"to": {"type": "string"}}}
            return MCPUtil.to_function_tool(McpTool(name=name, inputSchema=schema), Server(server), False)

        send, post = guard.wrap_tools([tool_named("send"), tool_named("post")], blocked_return="blocked")
        assert (await invoke(send, "c1", to="a"))["text"] == "send done"
        assert await invoke(send, "c2", to="a") == "blocked"
        assert (await invoke(post, "c3", to="a"))["text"] == "post done"
        for n in range(2):
            await invoke(send, f"d{n}", to="nobody")
        [other] = guard.wrap_tools([tool_named("send", "chat")])
        assert (await invoke(other, "e", to="a"))["text"] == "send done", "of another server, another operation"
        assert len(sent) == 5
        assert guard.stats()["failed"] == 2

    async def test_policy_and_retry_take_the_object(self, guard: Guard) -> None:
        raw = function_tool(send_email, strict_mode=False)
        guard.policy(raw, replay=True)
        [safe] = guard.wrap_tools([raw])
        assert [await invoke(safe, to="a") for _ in range(2)] == ["sent to a"] * 2
        guard.retry(safe, to="a")
        await invoke(safe, to="a")
        assert sent == ["a", "a"]

    async def test_of_an_agents_run(self, guard: Guard) -> None:
        """The tool as the SDK itself runs it, from a model that calls the same tool twice with other call ids."""
        from agents import Agent, ModelResponse, RunConfig, Runner, Usage
        from agents.models.interface import Model
        from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

        class Scripted(Model):
            turns = 0

            async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
                self.turns += 1
                if self.turns > 2:
                    text = ResponseOutputText(text="done", type="output_text", annotations=[])
                    last: Any = ResponseOutputMessage(
                        id="m", role="assistant", status="completed", type="message", content=[text]
                    )
                    return ModelResponse(output=[last], usage=Usage(), response_id=None)
                call = ResponseFunctionToolCall(
                    name="send_email",
                    arguments='{"to": "a@x.com"}',
                    call_id=f"call_{self.turns}",
                    type="function_call",
                )
                return ModelResponse(output=[call], usage=Usage(), response_id=None)

            def stream_response(self, *args: Any, **kwargs: Any) -> Any:
                raise NotImplementedError

        guard.policy("send_email", replay=True)
        tools = guard.wrap_tools([function_tool(send_email, strict_mode=False)])
        agent = Agent("a", instructions="Send it.", tools=list(tools), model=Scripted())
        done = await Runner.run(agent, "go", run_config=RunConfig(tracing_disabled=True))
        outputs = [item.output for item in done.new_items if item.type == "tool_call_output_item"]
        assert (outputs, sent) == (["sent to a@x.com"] * 2, ["a@x.com"])


class TestWhatAFrameworkFillsIn:
    """Call ids, contexts and configurations differ in every retry and never count."""

    def test_they_are_recognised_by_their_annotations(self) -> None:
        def fn(
            a: str,
            call: Annotated[str, InjectedToolCallId],
            ctx: RunContextWrapper[dict[str, int]],
            tool_ctx: ToolContext[Any] | None,
            config: RunnableConfig,
            mcp: Context[Any, Any, Any] | None = None,
        ) -> None: ...

        assert known(fn).ignored == {"call", "ctx", "tool_ctx", "config", "mcp"}

    def test_an_annotation_that_cannot_be_evaluated_is_an_argument_like_any_other(self) -> None:
        def fn(a: Nowhere, ctx: RunContextWrapper[Any]) -> None: ...  # type: ignore[name-defined]  # noqa: F821

        assert known(fn).ignored == {"ctx"}

    def test_what_the_program_fills_in_counts_two_customers_are_two_charges(self, guard: Guard) -> None:
        """https://docs.langchain.com/oss/python/langchain/tools: an InjectedToolArg is what the model must not choose,
        such as whose account it is."""

        def charge(amount: int, customer: Annotated[str, InjectedToolArg]) -> str:
            """Charge."""
            sent.append((customer, amount))
            return "charged"

        def credit(amount: int, customer: Annotated[str, Customer()]) -> str:
            """Credit."""
            sent.append((customer, -amount))
            return "credited"

        for safe in guard.wrap_tools([tool(charge), tool(credit)]):
            for customer in ("ada", "bob", "ada"):
                safe.invoke({"amount": 5, "customer": customer})
        assert sent == [("ada", 5), ("bob", 5), ("ada", -5), ("bob", -5)]

    def test_what_a_graph_fills_in_does_not(self) -> None:
        """https://reference.langchain.com/python/langgraph.prebuilt/tool_node/InjectedState"""
        state = type("InjectedState", (InjectedToolArg,), {"__module__": "langgraph.prebuilt.tool_node"})
        runtime = type("ToolRuntime", (_DirectlyInjectedToolArg,), {"__module__": "langgraph.prebuilt.tool_node"})
        assert all(is_injected(part) for part in (state, state(), runtime))

    def test_an_injected_call_id_is_not_part_of_the_operation(self, guard: Guard) -> None:
        def send(to: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> str:
            """Send one."""
            sent.append((to, tool_call_id))
            return "sent"

        [wrapped] = guard.wrap_tools([send])
        safe = tool(wrapped)
        for n in range(2):
            safe.invoke({"name": "send", "args": {"to": "a"}, "type": "tool_call", "id": f"call_{n}"})
        assert sent == [("a", "call_0")]
