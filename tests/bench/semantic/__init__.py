"""How far the semantic cache can be trusted: pairs with known meaning, and what it makes of them."""
