"""What goes wrong in production, done on purpose: `make chaos`, and in a short form `make test`."""
