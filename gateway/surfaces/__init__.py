"""Other APIs, translated to and from chat completions."""
