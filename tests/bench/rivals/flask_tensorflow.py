"""Flask with TensorFlow in every worker.

`BENCH_MODEL=models/fashion/1 gunicorn tests.bench.rivals.flask_tensorflow:app`.
"""

from flask import Flask, Response, jsonify, request

from tests.bench.rivals.in_process import Classifier

app = Flask(__name__)
classifier = Classifier.from_env()


@app.post("/v1/models/fashion:classify")
def classify() -> Response:
    return jsonify(classifier.classify(request.get_json()["instances"]))
