"""Other programs that ask servers, run beside this one: how each is started, and what its files say."""
