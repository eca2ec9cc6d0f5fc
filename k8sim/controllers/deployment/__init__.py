"""The Deployment controller (pkg/controller/deployment).

``controller`` knows which keys and carries out; ``control`` decides how ReplicaSets are scaled; ``replica_sets`` knows
the new one from the old ones and their revisions; ``progress`` makes the status.
"""
