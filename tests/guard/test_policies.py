"""`guard.policy`: what a tool's calls are answered with, told by function or by name."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from ledger import Guard, OutcomeUnknown, Status, UnstableArgument
from tests.guard.conftest import Tool


class TestNames:
    @pytest.mark.parametrize("name", ["charge", "Tool.charge", "tests.guard.conftest.charge"])
    def test_a_tool_goes_by_its_name(self, guard: Guard, tool: Tool, name: str) -> None:
        guard.policy(name, max=2)
        for _ in range(3):
            guard(tool.charge, "a")
        assert len(tool.effects) == 2

    def test_the_function_itself_is_more_particular_than_its_name(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, max=3)
        guard.policy("charge", max=2, replay=True)
        told = [guard(tool.charge, "a") for _ in range(4)]
        assert (len(tool.effects), told[3]) == (3, {"id": "ch_3"}), "max of the function, replay of the name"

    def test_it_can_be_told_after_the_first_call(self, guard: Guard, tool: Tool) -> None:
        guard(tool.charge, "a")
        guard.policy(tool.charge, replay=True)
        assert guard(tool.charge, "a") == {"id": "ch_1"}

    def test_calls_chain(self, guard: Guard, tool: Tool) -> None:
        guard.policy("charge", max=2).policy("acharge", replay=True).quiet()
        assert guard.workflow("order-1").as_caller("A")(tool.charge, "a") == {"id": "ch_1"}


class TestUnlimited:
    def test_a_read_inside_itself_or_beside_itself_runs(self, guard: Guard) -> None:
        depth = itertools.count(1)

        def search(q: str) -> int:
            at = next(depth)
            return guard(search, q) or 0 if at < 4 else at

        guard.policy(search, unlimited=True)
        assert guard(search, "x") == 4
        assert guard.stats()["executed"] == 4


class TestKeys:
    def test_a_template_over_the_arguments(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, key="charge-{customer}")
        guard(tool.charge, "a", 1, note=object())
        assert guard(tool.charge, customer="a", amount=2) is None
        guard(tool.charge, "b")
        assert [customer for customer, _ in tool.effects] == ["a", "b"]

    def test_it_is_the_same_as_the_key_given_by_hand_and_that_one_goes_first(self, guard: Guard, tool: Tool) -> None:
        guard(tool.charge, "a", key="charge-a")
        guard.policy(tool.charge, key="charge-{customer}")
        assert guard(tool.charge, "a") is None
        guard(tool.charge, "a", key="another")
        assert len(tool.effects) == 2

    def test_a_function_of_the_arguments(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, key=lambda customer, **_: f"charge-{customer.lower()}")
        guard(tool.charge, "A", amount=1)
        assert guard(tool.charge, "a", amount=2) is None

    def test_a_template_reaches_into_kwargs_and_fields(self, guard: Guard) -> None:
        ran: list[object] = []

        def send(**fields: object) -> None:
            ran.append(fields)

        guard.policy(send, key="{order[id]}-{price}")
        for price in (Decimal("1.5"), Decimal("1.5"), Decimal("2")):
            guard(send, order={"id": 7}, price=price, at=object())
        assert len(ran) == 2

    @pytest.mark.parametrize(
        ("customer", "told"), [("", "str ''"), (None, "NoneType None"), (1.5, "float 1.5"), ({}, "dict {}")]
    )
    def test_a_value_that_names_nothing_would_merge_effects(
        self, guard: Guard, tool: Tool, customer: object, told: str
    ) -> None:
        guard.policy(tool.charge, key="charge-{customer}")
        with pytest.raises(UnstableArgument, match=f"{{customer}} in key='charge-{{customer}}' is {told}"):
            guard(tool.charge, customer)  # type: ignore[arg-type]
        assert tool.effects == []

    def test_a_template_that_names_what_is_not_there(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, key="{order_id}")
        with pytest.raises(UnstableArgument, match=r"needs \{order_id\}.*it has customer, amount, note"):
            guard(tool.charge, "a")

    @pytest.mark.parametrize("key", ["always", "", "{}", "{broken"])
    def test_a_template_without_a_name_is_refused(self, guard: Guard, tool: Tool, key: str) -> None:
        with pytest.raises(ValueError, match="key="):
            guard.policy(tool.charge, key=key)

    @pytest.mark.parametrize("key", ["", None, 7])
    def test_a_function_that_gives_no_key_is_an_error(self, guard: Guard, tool: Tool, key: object) -> None:
        guard.policy(tool.charge, key=lambda *_, **__: key)  # type: ignore[arg-type,return-value]
        with pytest.raises(UnstableArgument, match="must be text and not empty"):
            guard(tool.charge, "a")


class TestVerify:
    """The world is asked before anybody is held."""

    def _lost(self, guard: Guard, tool: Tool) -> None:
        tool.raises = [TimeoutError("no answer")]
        with pytest.raises(TimeoutError):
            guard(tool.charge, "a", 5)

    def test_it_happened(self, guard: Guard, tool: Tool) -> None:
        asked: list[object] = []

        def was_charged(customer: str, amount: float = 0) -> bool:
            asked.append((customer, amount))
            return True

        guard.policy(tool.charge, verify=was_charged)
        self._lost(guard, tool)
        assert [guard(tool.charge, "a", 5), guard(tool.charge, "a", 5)] == [None, None]
        assert (len(tool.effects), asked) == (1, [("a", 5)])
        assert (guard.stats()["executed"], guard.stats()["unknown"]) == (1, 0)

    def test_it_happened_and_this_is_its_result(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, replay=True, verify=lambda *_: (True, {"id": "ch_found"}))
        self._lost(guard, tool)
        assert guard(tool.charge, "a", 5) == {"id": "ch_found"}
        assert len(tool.effects) == 1

    def test_it_did_not_happen(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, verify=lambda *_: False)
        self._lost(guard, tool)
        assert guard(tool.charge, "a", 5) == {"id": "ch_2"}

    def test_nobody_can_tell(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, verify=lambda *_: None)
        self._lost(guard, tool)
        with pytest.raises(OutcomeUnknown):
            guard(tool.charge, "a", 5)
        assert len(tool.effects) == 1

    @pytest.mark.parametrize("answer", ["yes", 1, (False, 2), ValueError("provider is down")])
    def test_a_verifier_that_fails_or_answers_something_else_holds(
        self, guard: Guard, tool: Tool, answer: object, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def verify(*_: object) -> object:
            if isinstance(answer, Exception):
                raise answer
            return answer

        guard.policy(tool.charge, verify=verify)
        self._lost(guard, tool)
        with pytest.raises(OutcomeUnknown):
            guard(tool.charge, "a", 5)
        assert "verify of Tool.charge failed, so the call is held" in capsys.readouterr().err
        assert len(tool.effects) == 1

    async def test_an_async_verifier_of_an_async_tool(self, guard: Guard, tool: Tool) -> None:
        async def verify(*_: object) -> bool:
            return True

        guard.policy(tool.acharge, verify=verify)
        tool.raises = [TimeoutError()]
        with pytest.raises(TimeoutError):
            await guard(tool.acharge, "a")
        assert await guard(tool.acharge, "a") is None
        assert len(tool.effects) == 1

    def test_an_async_verifier_of_a_plain_tool_cannot_be_asked(
        self, guard: Guard, tool: Tool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def verify(*_: object) -> bool:
            return True

        guard.policy(tool.charge, verify=verify)
        self._lost(guard, tool)
        with pytest.raises(OutcomeUnknown):
            guard(tool.charge, "a", 5)
        assert "to be awaited" in capsys.readouterr().err

    def test_after_a_crash_it_is_asked_too_instead_of_running_again(self, guard: Guard, tool: Tool) -> None:
        from ledger.policy import OnUnknown

        guard.policy(tool.charge, verify=lambda *_: True)
        policy = guard._works.policies.of(guard._works.tool_of(tool.charge)).policy
        assert (policy.timeout, policy.on_unknown) == (None, OnUnknown.VERIFY)

    def test_a_verifier_must_be_callable(self, guard: Guard, tool: Tool) -> None:
        with pytest.raises(TypeError, match="verify must be a function"):
            guard.policy(tool.charge, verify=True)  # type: ignore[arg-type]


class TestGenerators:
    def test_a_generator_is_a_clear_error(self, guard: Guard) -> None:
        def pages(n: int) -> object:
            yield n

        with pytest.raises(TypeError, match=r"guard.policy\(pages, collect=True\)"):
            guard(pages, 1)
        with pytest.raises(TypeError, match="pages is a generator"):
            guard.wrap_tools([pages])

    def test_it_is_collected_where_the_policy_says_so(self, guard: Guard) -> None:
        ran: list[int] = []

        def pages(n: int) -> object:
            for page in range(n):
                ran.append(page)
                yield page

        guard.policy(pages, collect=True, replay=True)
        assert [guard(pages, 3), guard(pages, 3)] == [[0, 1, 2], [0, 1, 2]]
        assert ran == [0, 1, 2]
        [wrapped] = guard.wrap_tools([pages])
        assert wrapped(3) == [0, 1, 2]

    async def test_async_ones_too(self, guard: Guard) -> None:
        async def pages(n: int) -> object:
            for page in range(n):
                yield page

        with pytest.raises(TypeError, match="collect=True"):
            guard(pages, 1)
        guard.policy(pages, collect=True)
        assert await guard(pages, 2) == [0, 1]
        assert await guard(pages, 2) is None

    def test_one_that_breaks_halfway_has_failed(self, guard: Guard) -> None:
        def pages() -> object:
            yield 1
            raise ValueError("page 2")

        guard.policy(pages, collect=True)
        with pytest.raises(ValueError, match="page 2"):
            guard(pages)
        assert guard.stats()["failed"] == 1

    def test_a_plain_function_that_returns_one_has_run_and_says_so(
        self, guard: Guard, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ran: list[int] = []

        def send(n: int) -> object:
            ran.append(n)
            return (i for i in range(n))

        assert list(guard(send, 2)) == [0, 1]  # type: ignore[call-overload]
        assert guard(send, 2) is None
        assert ran == [2]
        assert "returned a generator" in capsys.readouterr().err


def test_what_a_policy_cannot_mean_changes_nothing(guard: Guard, tool: Tool) -> None:
    for wrong in ({"max": 0}, {"ttl": -1}, {"on_unknown": "perhaps"}, {"key": "no field"}):
        with pytest.raises(ValueError):  # noqa: PT011 (each names its own field)
            guard.policy(tool.charge, **wrong)  # type: ignore[arg-type]
    guard(tool.charge, "a")
    assert guard(tool.charge, "a") is None
    assert guard._engine.store.all()[0].status is Status.SUCCESS
