"""What runs inside containers and what clients see of it: streams of requests, replicated data.

Everything flows: rates change at events, and what has flowed in between is reckoned, never counted request by request.
"""
