"""What people touch: the `ledger` command. Decides nothing about records; the core does."""
