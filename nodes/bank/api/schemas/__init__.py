"""What requests and answers of the bank's API look like: the words of its OpenAPI document, one file a resource."""
