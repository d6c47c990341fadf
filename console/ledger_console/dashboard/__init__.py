"""The dashboard: what the ledger holds, live in a browser on this machine. Decides nothing about records."""
