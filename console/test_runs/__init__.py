"""/test-runs: tests of many channels, as they run and afterwards."""
