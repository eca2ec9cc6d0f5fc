"""Growing of claims, the part of kube-controller-manager."""
