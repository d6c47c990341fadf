"""`python -m bench`: run the scenarios, print the table, write the file if asked. A missed figure is not an error."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from bench import (
    fingerprints,
    first_calls,
    guard_calls,
    half_open,
    looking,
    machine,
    memory,
    new_connections,
    replays,
    report,
    rules,
    screens,
    starting,
    streams,
    tunnel,
    workers,
)
from bench.measuring import Figure, Plan
from bench.stage import BenchError, staged

SCENARIOS = {
    "first-calls": first_calls.run,
    "replays": replays.run,
    "new-connections": new_connections.run,
    "tunnel": tunnel.run,
    "workers": workers.run,
    "half-open": half_open.run,
    "streams": streams.run,
    "memory": memory.run,
    "starting": starting.run,
    "guard": guard_calls.run,
    "screens": screens.run,
    "looking": looking.run,
    "fingerprints": fingerprints.run,
    "rules": rules.run,
}
QUICK = Plan(repetitions=1, divisor=4, slices=2)


def main() -> int:
    """Return 0 when everything could be measured, 1 when not, 2 for a wrong option."""
    options = _options()
    plan = QUICK if options.quick else Plan()
    parent = machine.workplace()
    described = machine.describe(parent)
    figures: list[Figure] = []
    progress = Console(stderr=True)
    try:
        with staged(parent) as stage:
            for name in options.only or SCENARIOS:
                progress.print(f"measuring {name} …", style="dim")
                measured = SCENARIOS[name](stage, plan)
                figures += measured
                # At once: a long run that is broken off has shown what it had.
                for figure in measured:
                    progress.print(f"  {report.line(figure)}", markup=False, highlight=False, soft_wrap=True)
    except BenchError as error:
        progress.print(f"bench: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    report.show(figures, described)
    if options.write:
        progress.print(f"written to {report.write(figures, described, plan)}", style="dim")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME", help=f"{', '.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help="one short repetition: does everything work?")
    parser.add_argument("--write", action="store_true", help=f"write {report.RESULTS.name} beside the sources")
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write keeps whole runs only: leave --quick and --only out")
    return options


if __name__ == "__main__":
    sys.exit(main())
