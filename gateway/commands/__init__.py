"""Commands of `thalamus` that belong to no other room."""
