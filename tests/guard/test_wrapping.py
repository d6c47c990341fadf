"""`guard.once` and `guard.wrap_tools`: any callable, guarded at every call, looking as it did."""

from __future__ import annotations

import functools
import inspect
import operator
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

import pytest

from ledger import Guard, MemoryStore
from tests.guard.conftest import Tool

sent: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    sent.clear()


def send(to: str, *, subject: str = "hello", **extra: int) -> str:
    """Send one.

    to: whom.
    """
    sent.append(to)
    return f"sent to {to}"


class Mailer:
    def __init__(self, name: str = "m") -> None:
        self.name = name

    def send(self, to: str) -> str:
        sent.append(to)
        return self.name

    @classmethod
    def from_class(cls, to: str) -> str:
        sent.append(to)
        return cls.__name__

    @staticmethod
    def plainly(to: str) -> str:
        sent.append(to)
        return "static"

    def __call__(self, to: str) -> str:
        sent.append(to)
        return "called"


class AsyncMailer:
    async def __call__(self, to: str) -> str:
        sent.append(to)
        return "called"


def decorated(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return outer


CALLABLES = {
    "function": send,
    "bound method": Mailer().send,
    "classmethod": Mailer.from_class,
    "staticmethod": Mailer.plainly,
    "callable object": Mailer(),
    "partial": functools.partial(send, subject="hi"),
    "partial of a method": functools.partial(Mailer().send),
    "decorated": decorated(send),
    "lambda": lambda to: sent.append(to) or "lambda",
}


@pytest.mark.parametrize("kind", CALLABLES)
def test_any_callable(guard: Guard, kind: str) -> None:
    fn = CALLABLES[kind]
    [wrapped] = guard.wrap_tools([fn])
    first = wrapped("a")
    assert first is not None
    assert [wrapped("a"), guard(fn, "a"), guard(wrapped, "a")] == [None] * 3, "one operation, however it is called"
    assert wrapped("b") == first.replace(" a", " b")
    assert sent == ["a", "b"]


def test_builtins_and_classes(guard: Guard) -> None:
    wrapped = guard.wrap_tools({"max": max, "getter": operator.itemgetter(0), "int": int})
    assert [wrapped["max"](1, 2), wrapped["max"](1, 2), wrapped["max"](1, 3)] == [2, None, 3]
    assert [wrapped["int"]("7"), wrapped["int"]("7")] == [7, None]


async def test_async_callables(guard: Guard) -> None:
    async def post(to: str) -> str:
        sent.append(to)
        return "ok"

    mailer = AsyncMailer()
    tools = guard.wrap_tools([post, mailer, functools.partial(mailer, to="p")])
    assert all(inspect.iscoroutinefunction(t) for t in tools)
    assert [await tools[0]("a"), await tools[0]("a")] == ["ok", None]
    assert [await tools[1]("b"), await tools[1]("b")] == ["called", None]
    assert await tools[2]() == "called"
    assert sent == ["a", "b", "p"]


class TestItLooksAsItDid:
    def test_name_signature_docstring_annotations(self, guard: Guard) -> None:
        for wrapped in (guard.wrap_tools([send])[0], guard.once(send)):
            assert (wrapped.__name__, wrapped.__qualname__, wrapped.__doc__) == ("send", "send", send.__doc__)
            assert wrapped.__module__ == __name__
            assert inspect.signature(wrapped) == inspect.signature(send)
            assert get_type_hints(wrapped) == get_type_hints(send)
            assert wrapped.__wrapped__ is send

    def test_a_partial_and_an_object_get_a_name(self, guard: Guard) -> None:
        partial, called = guard.wrap_tools([functools.partial(send, subject="x"), Mailer()])
        assert (partial.__name__, called.__name__) == ("send", "Mailer")
        assert partial.__doc__ == send.__doc__
        assert get_type_hints(partial)["to"] is str
        assert list(inspect.signature(partial).parameters) == ["to", "subject", "extra"]

    def test_a_decorated_function_can_be_pickled_by_name(self) -> None:
        assert pickle.loads(pickle.dumps(guarded_here)) is guarded_here


guarded_here = Guard(store=MemoryStore()).once(lambda: None)
guarded_here.__name__ = guarded_here.__qualname__ = "guarded_here"


class TestOnce:
    def test_methods_belong_to_their_class(self, guard: Guard) -> None:
        class Desk:
            @guard.once
            def send(self, to: str) -> str:
                sent.append(to)
                return "sent"

            @guard.once
            @classmethod
            def make(cls, to: str) -> str:
                sent.append(to)
                return cls.__name__

            @classmethod
            @guard.once
            def made(cls, to: str) -> str:
                sent.append(to)
                return cls.__name__

            @staticmethod
            @guard.once
            def plainly(to: str) -> str:
                sent.append(to)
                return "static"

        class Other(Desk): ...

        assert [Desk().send("a"), Desk().send("a"), guard(Desk().send, "a")] == ["sent", None, None]
        assert Other().send("a") == "sent", "another class, another operation"
        assert [Desk.make("b"), Desk.make("b"), Other.make("b")] == ["Desk", None, "Other"]
        assert [Desk.made("c"), Desk().made("c")] == ["Desk", None]
        assert [Desk.plainly("d"), Desk.plainly("d")] == ["static", None]

    def test_instances_count_where_their_class_says_so(self, guard: Guard) -> None:
        @dataclass
        class Account:
            name: str

            @property
            def __ledger_id__(self) -> str:
                return self.name

            @guard.once(replay=True)
            def charge(self, amount: int) -> str:
                sent.append(amount)
                return f"{self.name}-{amount}"

        assert [Account(n).charge(1) for n in ("a", "b", "a")] == ["a-1", "b-1", "a-1"]
        assert sent == [1, 1]

    async def test_async(self, guard: Guard) -> None:
        @guard.once(replay=True, key="post-{to}")
        async def post(to: str, at: float) -> str:
            sent.append(at)
            return "ok"

        assert [await post("a", 1.0), await post("a", 2.0)] == ["ok", "ok"]
        assert sent == [1.0]

    def test_key_blocked_return_and_policy(self, guard: Guard) -> None:
        @guard.once(max=2, blocked_return="enough")
        def remind(to: str) -> str:
            return "reminded"

        assert [remind("a", key="k"), remind("b", key="k"), remind("c", key="k")] == ["reminded", "reminded", "enough"]

    def test_an_unknown_option_is_an_error(self, guard: Guard) -> None:
        with pytest.raises(TypeError, match="replays"):
            guard.once(replays=True)(send)


class TestWrapTools:
    def test_blocked_is_not_an_empty_result(self, guard: Guard) -> None:
        def nothing(to: str) -> None:
            sent.append(to)

        tools = guard.wrap_tools({"nothing": nothing}, blocked_return={"status": "blocked"})
        assert [tools["nothing"]("a"), tools["nothing"]("a")] == [None, {"status": "blocked"}]

    def test_the_key_is_passed_through(self, guard: Guard) -> None:
        [wrapped] = guard.wrap_tools([send])
        assert [wrapped("a", key="order-1"), wrapped("b", key="order-1")] == ["sent to a", None]

    def test_a_tool_with_a_key_of_its_own_gets_it(self, guard: Guard) -> None:
        stored: dict[str, str] = {}

        def put(key: str, body: str) -> None:
            stored[key] = body

        [wrapped] = guard.wrap_tools([put])
        wrapped(key="a", body="1")
        wrapped(key="b", body="1")
        assert stored == {"a": "1", "b": "1"}

    def test_twice_is_once(self, guard: Guard) -> None:
        [again] = guard.wrap_tools(guard.wrap_tools([guard.once(send)]), blocked_return="blocked")
        assert [again("a"), again("a")] == ["sent to a", "blocked"]
        partial = functools.partial(guard.once(send), subject="x")
        assert [guard(partial, "b"), guard(partial, "b")] == ["sent to b", None]
        assert guard.stats()["attempts"] == 4

    def test_a_tuple_is_a_toolset_too(self, guard: Guard) -> None:
        assert len(guard.wrap_tools((send, Mailer().send))) == 2

    @pytest.mark.parametrize("wrong", [send, "send", 7, None])
    def test_what_is_no_toolset(self, guard: Guard, wrong: object) -> None:
        with pytest.raises(TypeError, match="takes a dict or a list of tools"):
            guard.wrap_tools(wrong)  # type: ignore[call-overload]

    def test_what_is_no_tool(self, guard: Guard) -> None:
        with pytest.raises(TypeError, match="not 'send_email'"):
            guard.wrap_tools(["send_email"])

    def test_two_tools_of_one_name_would_be_merged(self, guard: Guard) -> None:
        def make(channel: str) -> Callable[..., None]:
            def notify(text: str) -> None:
                sent.append((channel, text))

            return notify

        slack, sms = make("slack"), make("sms")
        with pytest.raises(ValueError, match="two different tools are both named"):
            guard.wrap_tools({"slack": slack, "sms": sms})
        with pytest.raises(ValueError, match="two different tools"):
            guard.wrap_tools([Mailer("a").send, Mailer("b").send])
        slack.__name__, sms.__name__ = "slack", "sms"
        tools = guard.wrap_tools([slack, sms, slack])
        for tool in tools:
            tool("hi")
        assert sent == [("slack", "hi"), ("sms", "hi")]


class TestRetryAndForce:
    def test_by_the_wrapped_or_the_raw_function(self, guard: Guard) -> None:
        [wrapped] = guard.wrap_tools([send])
        wrapped("a")
        guard.retry(send, "a")
        assert wrapped("a") == "sent to a"
        guard.retry(wrapped, "a")
        assert guard(send, to="a") == "sent to a"
        assert wrapped("a") is None
        assert guard.force(wrapped, "a") == "sent to a"
        assert len(sent) == 4

    def test_by_key_and_policy_key(self, guard: Guard) -> None:
        guard(send, "a", key="k")
        guard.retry(send, "whatever", key="k")
        assert guard(send, "b", key="k") == "sent to b"
        guard.policy(send, key="to-{to}")
        guard(send, "c", subject="1")
        guard.retry(send, "c", subject="2")
        assert guard(send, "c", subject="3") == "sent to c"

    def test_what_never_ran_needs_no_retry(self, guard: Guard, tool: Tool) -> None:
        guard.retry(tool.charge, "a")
        assert guard(tool.charge, "a") is not None

    async def test_force_awaits(self, guard: Guard, tool: Tool) -> None:
        await guard(tool.acharge, "a")
        assert await guard.force(tool.acharge, "a") == {"id": "ch_2"}
        assert await guard(tool.acharge, "a") is None
