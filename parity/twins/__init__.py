"""The two sides of the cases, and what they share."""
