"""The nodes of a cluster: what is free on each for displays, measured by a task that runs on it; and the way from one.

`memory`: the machine's memory, its containers' limits, and what Ray's object store may still take of them.
`probe`: what one node has, and why no display starts there.
`share`: how many displays that is, where some of it belongs to several nodes at once.
`reasons`: why not more, in words.
`packed`: a frame that goes to another machine.
"""
