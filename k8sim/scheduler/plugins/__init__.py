"""The scheduler's rules, one file per plug-in. They are pure: they know API objects and the node table, no clock."""
