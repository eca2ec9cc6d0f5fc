"""Binding of claims and volumes, in-tree provisioning, reclaim."""
