"""The T5 to train: its tokenizer, its first weights and its checks."""
