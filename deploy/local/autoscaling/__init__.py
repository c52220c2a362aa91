"""EC2 Auto Scaling on this machine: runs groups as processes and carries out their scaling policies.

controller.py  the loop that runs all of it
capacity.py    one process for each instance that a group lists
instances.py   the life of one instance: boot, work, termination
imds.py        its metadata service, with its role's credentials
group_metrics.py  the sizes of the groups, as metrics
policies.py    the deployed policies and their alarms
scaler.py      the desired capacity that follows from them
asg.py         what the instances of a group are launched with
"""
