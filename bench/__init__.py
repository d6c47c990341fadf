"""Figures as ratios against a peer in the same run. Nothing here is a test; the product imports nothing of it."""
