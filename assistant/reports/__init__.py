"""What is special to reports: templates, the typed draft, its renderings and the command."""
