"""iFlytek's Spark."""
