"""The StatefulSet controller (pkg/controller/statefulset).

``controller`` knows which keys, ``control`` decides, ``pod_control`` makes one decision into several requests;
``replicas`` files a set's pods by what the decision asks; ``identity``, ``claims``, ``revisions`` and ``status`` hold
the small rules.
"""
