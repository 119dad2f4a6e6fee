"""Other policies over logged decisions: what would change, what it would cost, and where a threshold belongs."""
