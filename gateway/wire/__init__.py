"""What clients send: typed where the gateway looks, raw bytes everywhere else."""
