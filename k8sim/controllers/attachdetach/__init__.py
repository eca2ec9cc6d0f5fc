"""Attaching volumes to the nodes whose pods need them, and detaching them when no pod does."""
