"""The process around the application: its start and end, its workers, its settings while it runs."""
