"""The pages people see: home, sign-in, panel, and Django's admin as the raw tables of root."""
