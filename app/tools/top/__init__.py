"""The command `top`: what the `/metrics` of servers says, in the terminal."""
