"""Is this machine able to do what is asked of it: facts, gathered once, and checks of them."""
