"""Fetches pip's wheel from PyPI, for a Python that came without ensurepip. Standard library only, nothing else."""

from __future__ import annotations

import hashlib
import sys
import urllib.request
from pathlib import Path

URL = (
    "https://files.pythonhosted.org/packages/07/25/"
    "ee8c38ae72d66b844ce8eb9711ba905dba21ca1a8a0c960057c41cd23337/pip-26.3-py3-none-any.whl"
)
SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


def main(target: Path) -> int:
    """Write the wheel to `target`; 1 and one line when it cannot be had or is not the one that is pinned."""
    try:
        with urllib.request.urlopen(URL, timeout=60) as answer:
            wheel = answer.read()
    except OSError as error:
        print(f"ledger: {URL}: {error}", file=sys.stderr)
        return 1
    if hashlib.sha256(wheel).hexdigest() != SHA256:
        print(f"ledger: {URL} is not the file that is pinned in {__file__}", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
