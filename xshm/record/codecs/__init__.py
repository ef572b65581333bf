"""Encoders of libav: which one a name means, and the options that it is opened with.

In reading order:

`pyav`: the package av, which is an extra.
`table`: Codec, which encoder a name means, and what it is given at each quality.
`values`: the value of one option, checked.
`rates`: which options say how good it has to be.
`trial`: an encoder opened as a trial, for what only its library knows.
`options`: the options of an encoder, checked.
"""
