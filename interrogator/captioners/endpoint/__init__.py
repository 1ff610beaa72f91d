"""The family `endpoint`: a model behind a server that speaks the OpenAI-compatible protocol, named by its address.

captioner   EndpointCaptioner: options into requests, answers into captions
server      one model of one server: its name, completions, patience, the key
requests    several requests in flight, with progress and cancelling
connection  HTTP: one exchange; why it is the standard library's
messages    what a request says, and what an answer means
refusals    what other answers mean, in one sentence each
pictures    pictures as JPEG files of limited size
address     what an address may be; limits: minutes and requests; finder: for the registry
"""
