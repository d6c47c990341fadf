"""One POST with the standard library."""

import json
import sys
from urllib.request import Request, urlopen

request = Request(sys.argv[1], json.dumps({"amount": 4900}).encode(), {"Content-Type": "application/json"})
with urlopen(request, timeout=20) as answer:
    print(json.dumps(json.load(answer)))
