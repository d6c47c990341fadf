"""Duplicates: Ledger answers from the ledger, mitmdump from flows that it recorded before."""

from __future__ import annotations

from bench.client import Load
from bench.measuring import Figure, Plan, duel, throughput
from bench.stage import Stage, send

DISTINCT = 500
WARM_UP = 160
REPLAY = ("--set", "server_replay_reuse=true", "--set", "server_replay_extra=404")
HOW = (
    "{d} operations are executed once, then {s} × {n:,} duplicates of them are sent, going round, over 16 keep-alive "
    "intercepted connections. Ledger: every answer marked `replayed`. mitmdump: `-w FLOWS` records the {d}, then a "
    "fresh `mitmdump -q -S FLOWS --set server_replay_reuse=true` answers. The origin must see none of the duplicates."
)


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure both."""
    requests = plan.scaled(1000)
    record = Load("replay", DISTINCT, distinct=DISTINCT)
    duplicates = Load("replay", requests, distinct=DISTINCT, warm_up=WARM_UP)
    flows = stage.folder / "flows"
    pairs = []
    for _ in range(plan.repetitions):
        flows.unlink(missing_ok=True)
        with stage.mitmdump("-w", str(flows)) as recorder:
            send(record, recorder.route)
        with stage.ledger() as ledger, stage.mitmdump("-S", str(flows), *REPLAY) as mitmdump:
            send(record, ledger.route)
            pairs.append(duel(stage, plan, ledger, mitmdump, lambda _: duplicates, "replayed"))
    how = HOW.format(d=DISTINCT, s=plan.slices, n=requests)
    return [throughput("replays", 2.1, pairs, "mitmdump server replay", how)]
