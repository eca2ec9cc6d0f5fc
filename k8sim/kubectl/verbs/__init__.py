"""What each command does: a generator over a process, request by request."""
