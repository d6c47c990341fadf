"""What people deploy: the examples hold to their rules, and a sidecar starts and keeps its promise in their sandbox."""
