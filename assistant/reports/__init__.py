"""What is special to reports: template, typed draft, the life of a report."""
