"""People: their list, their forms, their pages, and what is done to many at once."""
