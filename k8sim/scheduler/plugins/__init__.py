"""The scheduler's rules, one file per plug-in, pure: they know API objects and the node table, no clock and no server."""
