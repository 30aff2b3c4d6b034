"""What access is allowed: evaluate, compare, the lock, the diff and questions about them, all offline."""
