"""What chaos.py is made of: real processes, a proxy that breaks connections, a plan and what came of it."""
