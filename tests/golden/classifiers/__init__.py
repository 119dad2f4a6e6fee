"""What the difficulty model reads and what comes of it, pinned for a handful of telling conversations."""
