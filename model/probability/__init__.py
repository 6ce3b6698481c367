"""How probable an answer is: that there is a further one at all, and that it is this one."""
