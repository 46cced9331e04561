"""What stands in deploy/ and in the Dockerfile, read as those who use it will."""
