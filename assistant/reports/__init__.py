"""What is special to reports: the template, the typed draft, what is checked on the whole of it."""
