"""The items that a pool's workers have to do, and what is told of them.

- `events`: the calls of one thread, also those for later
- `task`: one item, its Future, and what is kept of it; where the next one runs
- `function`: what an item calls, and how it is sent
- `stats`: counts of what was done, and of what was lost
"""
