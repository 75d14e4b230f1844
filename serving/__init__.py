"""Serving: the model server, and the gateway in front of it. The contract is the one file training shares."""
