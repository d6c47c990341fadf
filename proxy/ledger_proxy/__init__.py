"""The wire: mitmproxy in front, the exactly-once exchange, our own upstream behind."""
