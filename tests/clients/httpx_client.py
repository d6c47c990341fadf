"""One POST with httpx."""

import json
import sys

import httpx

answer = httpx.post(sys.argv[1], json={"amount": 4900}, timeout=20)
answer.raise_for_status()
print(json.dumps(answer.json()))
