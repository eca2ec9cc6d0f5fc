"""Names, addresses and who answers at them: DNS, kube-proxy, service environment variables, the pods' network."""
