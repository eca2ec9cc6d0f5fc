"""The kubelet: pod workers, container lifecycle, probes, images, volumes, status, node status."""
