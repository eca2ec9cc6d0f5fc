"""kube-scheduler: which node a pod goes to, and when it is tried again.

`queue` holds the pods that wait, `cache` and `nodes` what is known of nodes and of the pods on them, `plugins` the
rules, one file each, `algorithm` the choice, `preemption` who must make way, `scheduler` the process that drives them.
"""
