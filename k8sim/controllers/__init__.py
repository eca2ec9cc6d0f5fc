"""Controllers of kube-controller-manager, one room each, unaware of each other: they meet in the API server."""
