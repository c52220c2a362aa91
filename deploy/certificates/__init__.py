"""The load balancer's certificate: self-signed, or issued by ACM for a domain."""
