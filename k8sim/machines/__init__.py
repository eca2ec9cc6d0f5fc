"""The physical world: machines, their container runtime, the software in images, the registry. What can break."""
