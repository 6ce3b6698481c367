"""What `benchmarks/fuzz.py` is made of: damage, the surfaces it is done to, and who watches."""
