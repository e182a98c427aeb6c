"""The school of what ships: data, recipe and report card of the pocket models, from scratch."""
