"""What a client is told of an error, in the same words at every door. Knows no transport."""

from serving.errors import InvalidInput, ModelServerFault, ServingError

# What a model server says about its insides is for the log.
FAULT_DETAIL = "the model server answered against the contract; its operator finds the details by the request id"
BUG_DETAIL = "this is a fault of the gateway; its operator finds the details by the request id"

# Seconds: the offers are looked at again every second.
RETRY_AFTER_S = 1


def explain(error: ServingError) -> str:
    """One sentence, without a value of the client's or an inside of the model server's."""
    if isinstance(error, InvalidInput) and len(error.violations) > 1:
        return f"{len(error.violations)} of its values cannot be taken"
    return FAULT_DETAIL if isinstance(error, ModelServerFault) else str(error)
