"""Storage drivers: what they can do, and the programs that stand between them and the API server."""
