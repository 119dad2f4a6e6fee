"""The semantic cache: an answer kept for one prompt given to another that asks the same in other words."""
