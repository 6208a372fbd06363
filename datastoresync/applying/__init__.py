"""Results out of actions: the plan, the safeguards, templates, reports."""
