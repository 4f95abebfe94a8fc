"""What several packages' tests share. No test in it."""
