"""What one may want to know while using the console: keys, notices, addresses, whom to ask."""
