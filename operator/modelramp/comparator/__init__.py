"""
The shadow comparator: a small service that asks the stable and the candidate revision the same question and counts how
often their answers differ.

It takes copies of requests from a gateway's mirror. It has no part in users' answers, no rights at the API server, and
keeps nothing: neither a request nor an answer is written anywhere.
"""
