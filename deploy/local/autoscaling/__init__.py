"""EC2 Auto Scaling on this machine: groups become processes, and scaling policies are carried out.

controller.py  the loop that runs all of it
capacity.py    one process for each instance that a group lists
instances.py   the life of one instance: boot, work, termination
imds.py        its metadata service, with its role's credentials
policies.py    the deployed policies and their alarms
scaler.py      the desired capacity that follows from them
asg.py         the group as AWS describes it
"""
