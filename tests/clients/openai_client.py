"""One chat completion with OpenAI's SDK. Argument: the base URL."""

import sys

import openai

client = openai.OpenAI(api_key="sk-client", base_url=sys.argv[1], max_retries=0, timeout=20)
answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Book it."}])
print(answer.model_dump_json())
