"""The reader: a request in, a checked result out."""
