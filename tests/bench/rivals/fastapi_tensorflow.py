"""FastAPI (async route) with TensorFlow in every worker.

`BENCH_MODEL=models/fashion/1 uvicorn tests.bench.rivals.fastapi_tensorflow:app`. The body is read as it comes, which is
quicker than a pydantic model of a thousand numbers.
"""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.bench.rivals.in_process import Classifier

app = FastAPI()
classifier = Classifier.from_env()


@app.post("/v1/models/fashion:classify")
async def classify(request: Request) -> JSONResponse:
    body = await request.json()
    return JSONResponse(classifier.classify(body["instances"]))
