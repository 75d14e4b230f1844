"""protoc's output, made by `make proto`. Never edited by hand."""
