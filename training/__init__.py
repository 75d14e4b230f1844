"""The training job: turns data into versions in the model store. Of serving it knows the contract alone."""
