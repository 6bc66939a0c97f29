"""What an operator copies to a batch farm."""
