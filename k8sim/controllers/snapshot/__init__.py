"""The cluster-wide snapshot controller: a program of its own, of which there is one."""
