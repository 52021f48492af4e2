"""What is compared, and how: NumPy alone."""
