"""The embedded model server: TensorFlow Serving's wire, flags, words and lifecycle, on TensorFlow's Python engine."""
