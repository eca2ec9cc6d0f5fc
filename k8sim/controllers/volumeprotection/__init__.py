"""Finalizers that hold back claims in use and bound volumes."""
