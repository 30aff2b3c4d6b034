"""What the company has before any agent exists: data only, invented."""
