"""One POST with requests."""

import json
import sys

import requests

answer = requests.post(sys.argv[1], json={"amount": 4900}, timeout=20)
answer.raise_for_status()
print(json.dumps(answer.json()))
