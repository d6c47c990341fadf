"""Where a GraphQL mutation takes an idempotency key as a directive: `refundCreate(...) @idempotent(key: "...")`.

Shopify reads it there: https://shopify.dev/docs/api/usage/idempotent-requests
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger_rules import graphql
from ledger_rules.slots import Slot, Spans, slot_of, spans, value

if TYPE_CHECKING:
    from graphql import DirectiveNode, FieldNode, Token

_MAX_TOKENS = 20_000


def directive_slot(body: bytes, name: str) -> Slot | None:
    """Return the slot of `@name(key: "...")` on the only field of the mutation in a JSON body. Never raises.

    The key may stand in the document, in the variable that the document names, or not be there yet. None where
    several fields would share one key, and for everything that is not one plain GraphQL mutation.
    """
    try:
        text = body.decode("utf-8")
        members = spans(text)
        document = value(text, members, "query")
        field = _only_field(document, value(text, members, "operationName"))
        return None if field is None else _directive(text, members, document, field, name)
    except (ValueError, RecursionError):
        return None


def _only_field(document: Any, operation: Any) -> FieldNode | None:
    """Return the one root field of the one mutation that will run."""
    from graphql import FieldNode, GraphQLError, OperationDefinitionNode, OperationType, parse

    if not isinstance(document, str) or len(document) > graphql.MAX_DOCUMENT:
        return None
    try:
        definitions = parse(document, max_tokens=_MAX_TOKENS).definitions
    except GraphQLError:
        return None
    found = [one for one in definitions if isinstance(one, OperationDefinitionNode)]
    if operation:
        found = [one for one in found if one.name is not None and one.name.value == operation]
    if len(found) != 1 or found[0].operation is not OperationType.MUTATION:
        return None
    fields = found[0].selection_set.selections
    only = fields[0] if len(fields) == 1 else None
    return only if isinstance(only, FieldNode) else None


def _directive(text: str, members: Spans, document: str, field: FieldNode, name: str) -> Slot | None:
    from graphql import StringValueNode, VariableNode

    there = [one for one in field.directives or () if one.name.value == name]
    if not there:
        at = _after_arguments(field)
        return _in_document(text, members, (document[:at] + f' @{name}(key: "', '")' + document[at:]), None)
    match _key_argument(there):
        case StringValueNode(block=False, value=found, loc=loc) if loc is not None:
            around = (document[: loc.start + 1], document[loc.end - 1 :])
            return _in_document(text, members, around, found or None)
        case VariableNode(name=variable) if _uses(field, variable.value) == 1:
            return slot_of(text, ("variables", variable.value), members)
    return None


def _key_argument(directives: Sequence[DirectiveNode]) -> object:
    given = [argument.value for argument in directives[0].arguments or () if argument.name.value == "key"]
    return given[0] if len(directives) == 1 and len(given) == 1 else None


def _uses(field: FieldNode, variable: str) -> int:
    """Count how often a document uses a variable, definitions aside: one used twice means more than the key."""
    from graphql import TokenKind

    token: Token | None = field.loc.start_token if field.loc else None
    while token is not None and token.prev is not None:
        token = token.prev
    uses = 0
    while token is not None:
        name = token.next if token.kind is TokenKind.DOLLAR else None
        if name is not None and name.value == variable:
            defines = name.next is not None and name.next.kind is TokenKind.COLON
            uses += not defines
        token = token.next
    return uses


def _after_arguments(field: FieldNode) -> int:
    """Return where a field's directives may start: after the parenthesis that closes its arguments, or its name."""
    from graphql import TokenKind

    last = field.arguments[-1] if field.arguments else field.name
    token = last.loc.end_token if last.loc else None
    while field.arguments and token is not None and token.kind is not TokenKind.PAREN_R:
        token = token.next  # over comments
    if token is None:
        raise ValueError("parsed without locations")
    return token.end


def _in_document(text: str, members: Spans, around: tuple[str, str], found: str | None) -> Slot:
    start, end = members["query"]
    left, right = (json.dumps(part)[1:-1] for part in around)
    return Slot(f'{text[:start]}"{left}'.encode(), f'{right}"{text[end:]}'.encode(), found)
