"""AWS Bedrock."""
