"""What a run concluded: figures, confidence and acceptance."""
