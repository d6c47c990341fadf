"""The oracle's fixtures, for the tests of the oracle itself."""

from tests.upstream.fixtures import plain_upstream, upstream

__all__ = ["plain_upstream", "upstream"]
