"""A store of your own in six methods: guarded calls with their records in DynamoDB.

Run it against any DynamoDB, with `pip install boto3 ledger-sidecar`; or without an account:

    pip install 'moto[server]' && moto_server -p 5000 &
    export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:5000 AWS_DEFAULT_REGION=eu-west-1
    AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any python custom_store_dynamodb.py

The table needs one key, `id`. Only `claim` has to be atomic; DynamoDB's condition on a missing key makes it so.
An item holds up to 400 KB, so a larger result cannot be kept here: the call then fails before it is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3

from ledger import Guard, Record, Store


class DynamoStore(Store):
    """The six methods. Each keeps the whole record as text, so that it comes back equal."""

    def __init__(self, table: str) -> None:
        self._table = boto3.resource("dynamodb").Table(table)
        self._taken = self._table.meta.client.exceptions.ConditionalCheckFailedException

    def get(self, id: str) -> Record | None:
        # A consistent read: an old answer could send a duplicate.
        item = self._table.get_item(Key={"id": id}, ConsistentRead=True).get("Item")
        return None if item is None else Record.from_json(item["record"])

    def claim(self, r: Record) -> bool:
        try:
            self._table.put_item(Item=_item(r), ConditionExpression="attribute_not_exists(id)")
        except self._taken:
            return False
        return True

    def put(self, r: Record) -> None:
        self._table.put_item(Item=_item(r))

    def delete(self, id: str) -> None:
        self._table.delete_item(Key={"id": id})

    def all(self, wf: str | None = None) -> list[Record]:
        records = [Record.from_json(item["record"]) for item in self._items()]
        return [r for r in records if wf in (None, r.wf)]

    def clear(self, wf: str | None = None) -> None:
        for r in self.all(wf):
            self.delete(r.id)

    def _items(self) -> Iterator[dict[str, Any]]:
        page: dict[str, Any] = self._table.scan(ConsistentRead=True)
        yield from page["Items"]
        while "LastEvaluatedKey" in page:
            page = self._table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
            yield from page["Items"]


def _item(r: Record) -> dict[str, Any]:
    return {"id": r.id, "wf": r.wf, "tool": r.tool, "status": r.status.value, "record": r.to_json()}


def create(table: str) -> None:
    """Make the table, unless it is there."""
    dynamodb = boto3.resource("dynamodb")
    try:
        dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    except dynamodb.meta.client.exceptions.ResourceInUseException:
        return
    dynamodb.Table(table).wait_until_exists()


def charge(order: str, amount: float) -> dict[str, Any]:
    """Stand in for a payment."""
    print(f"charging {order}: {amount}")
    return {"order": order, "charged": amount}


def main() -> None:
    """Charge one order three times over; it is charged once."""
    create("ledger")
    guard = Guard(store=DynamoStore("ledger"))
    guard.policy(charge, replay=True)
    for _ in range(3):
        print(guard(charge, order="A-7", amount=49.0))
    print(guard.stats())


if __name__ == "__main__":
    main()
