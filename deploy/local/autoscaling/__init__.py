"""EC2 Auto Scaling on this machine: groups become processes, and scaling policies are carried out."""
