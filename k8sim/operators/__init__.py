"""What people and their programs do to a cluster by themselves: upgrade its nodes, and react to what breaks.

They see what kubectl shows, act through kubectl and at the machines' switches, and take their time.
"""
