"""The gateway: HTTP in front, a TensorFlow Serving compatible model server behind. No TensorFlow inside."""
