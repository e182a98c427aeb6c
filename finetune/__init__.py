"""The school: trains the encoders and the vision-language model."""
