"""What one run leaves: records, folders, sweeps, costs, and what the terminal says."""
