"""What a run leaves for people and for later tools: records, tables and pictures."""
