"""kube-scheduler: which node a pod goes to, and when it is tried again.

`queue` holds the pods that wait, `cache` what is known of nodes and of pods placed on them, `plugins` the rules, one file
each, `preemption` who must make way, `scheduler` the process that drives them.
"""
