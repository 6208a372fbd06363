"""ThoughtSpot as a store: its users and groups, by its user-sync call."""
